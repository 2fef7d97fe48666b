//go:build failpoints

package failpoint

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test's own program be one that hits failpoints.
func TestMain(m *testing.M) {
	if os.Getenv("HIT_FAILPOINTS") != "" {
		for range 5 {
			Hit(Received)
			Hit(Committed)
		}
		return
	}
	os.Exit(m.Run())
}

func run(t *testing.T, orders string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "HIT_FAILPOINTS=1", Variable+"="+orders)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestHit(t *testing.T) {
	t.Parallel()
	for orders, want := range map[string]struct{ said, err string }{
		"":                                {"", ""},
		"committed=kill@3":                {"failpoint committed kill", "killed"},
		"received=panic@2":                {"panic: failpoint received", "exit status 2"},
		"committed=kill@6":                {"", ""}, // never reached
		"received=panic@0%":               {"", ""},
		"received=panic@100%":             {"panic: failpoint received", "exit status 2"},
		"received=sleep:1ms@1":            {"failpoint received sleep", ""},
		"begun=kill@1,committed=kill@1":   {"failpoint committed kill", "killed"},
		"nowhere=kill@1":                  {"no such point", "exit status 2"},
		"received=explode@1":              {"no such action", "exit status 2"},
		"received=kill@0":                 {"counted from 1", "exit status 2"},
		"received=sleep:soon@1":           {"invalid duration", "exit status 2"},
		"received=kill":                   {"invalid syntax", "exit status 2"},
		"received=sleep:1ms@1,committed=": {"no such action", "exit status 2"},
	} {
		said, err := run(t, orders)
		status := ""
		if err != nil {
			status = err.Error()
		}
		if !strings.Contains(said, want.said) || !strings.Contains(status, want.err) ||
			(want.err == "") != (err == nil) || (want.said == "") != (said == "") {
			t.Errorf("%q: said %q, ended with %q; want %q and %q",
				orders, said, status, want.said, want.err)
		}
	}
}
