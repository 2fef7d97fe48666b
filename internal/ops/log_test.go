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
	log, _, err := NewLogger(&out, Logging{Level: "info", Format: "json"})
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
	log, _, err := NewLogger(&out, Logging{Level: "debug", Format: "console"})
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
		logging := Logging{Level: test[0], Format: test[1]}
		if _, _, err := NewLogger(&bytes.Buffer{}, logging); err == nil {
			t.Errorf("%v is accepted", test)
		}
	}
}

// The level changes while the logger is in use.
func TestNewLogger_ChangeLevel(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, level, err := NewLogger(&out, Logging{Level: "warn", Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	log = log.With(zap.String("instance", "x"))
	log.Info("before")
	level.SetLevel(zap.DebugLevel)
	log.Debug("after")
	if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("got %s", got)
	}
}

// With a burst, a flood of one line leaves little behind, and every warning.
func TestNewLogger_Burst(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, level, err := NewLogger(&out, Logging{Level: "debug", Format: "console", Burst: 10})
	if err != nil {
		t.Fatal(err)
	}
	log = log.With(zap.Int("n", 1))
	for range 1000 {
		log.Debug("flood")
		log.Warn("warning")
	}
	log.Debug("other")
	// A second may end among them, and two bursts begin.
	if n := strings.Count(out.String(), "flood"); n < 10+9 || n > 100 {
		t.Errorf("%d of 1,000 lines alike", n)
	}
	if n := strings.Count(out.String(), "warning"); n != 1000 {
		t.Errorf("%d of 1,000 warnings", n)
	}
	level.SetLevel(zap.ErrorLevel)
	log.Warn("not any more")
	if got := out.String(); !strings.Contains(got, "other") || strings.Contains(got, "not any") {
		t.Errorf("got %.300s", got)
	}
}
