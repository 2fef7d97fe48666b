package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestNewLogger_JSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not shown")
	log.Warn("slow", zap.Duration("took", time.Second))
	log.Error("failed", zap.Error(errors.New("why")))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines:\n%s", len(lines), out.String())
	}
	for i, want := range []map[string]any{
		{"level": "warn", "msg": "slow", "took": "1s"},
		{"level": "error", "msg": "failed", "error": "why"},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z0700", got["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(got, "time")
		for key, value := range want {
			if got[key] != value {
				t.Errorf("%s is %v, want %v", key, got[key], value)
			}
		}
		if len(got) != len(want) {
			t.Errorf("got more than expected: %v", got)
		}
	}
}

// Nothing is sampled: the same line a thousand times is a thousand lines.
func TestNewLogger_NoSampling(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := NewLogger(&out, "debug", "console")
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		log.Debug("again")
	}
	if got := strings.Count(out.String(), "again"); got != 1000 {
		t.Errorf("got %d lines", got)
	}
}

func TestNewLogger_Refused(t *testing.T) {
	t.Parallel()
	for _, test := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := NewLogger(&bytes.Buffer{}, test[0], test[1]); err == nil {
			t.Errorf("%v is accepted", test)
		}
	}
}
