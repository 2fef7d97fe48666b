package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// offered is what a program offers after these words.
func offered(t *testing.T, name string, words ...string) (names []string) {
	t.Helper()
	text := mustRun(t, name, append([]string{"__complete"}, words...)...)
	for line := range strings.Lines(text) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(name, ":") {
			names = append(names, name)
		}
	}
	return names
}

// TestCompletion: a shell completes the commands of both programs, and what some flags take.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, words string
		want        []string
	}{
		{"payment-consumer", "", []string{"accounts", "archive", "audit", "completion", "config",
			"epoch", "healthy", "help", "migrate", "quarantine", "run", "why"}},
		{"payment-consumer", "m", []string{"migrate"}},
		{"payment-consumer", "quarantine ", []string{"discard", "list", "replay", "show"}},
		{"payment-consumer", "audit -o ", []string{"json", "prometheus", "text"}},
		{"order-producer", "", []string{"completion", "config", "help", "load", "results", "send"}},
		{"order-producer", "results --follow -o ", []string{"jsonl", "text"}},
	} {
		got := offered(t, test.name, strings.Split(test.words, " ")...)
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.name, test.words, diff)
		}
	}
}

func TestCompletion_IsBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	for _, name := range []string{"payment-consumer", "order-producer"} {
		script := mustRun(t, name, "completion", "bash")
		if !strings.Contains(script, "complete -o default") {
			t.Errorf("%s completes nothing:\n%s", name, script)
		}
		check := exec.CommandContext(t.Context(), bash, "-n")
		check.Stdin = strings.NewReader(script)
		if output, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, output)
		}
	}
}
