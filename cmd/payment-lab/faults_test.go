package main

import (
	"strings"
	"testing"
	"time"
)

// TestLab_FaultsQuick runs the cases of the fault suite that are quick, with the race detector in
// the consumers.
func TestLab_FaultsQuick(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	r := startLabFor(t, 20*time.Minute, home, "faults", "--quick", "--race", "--folder", t.TempDir())
	if status := r.status(t); status != 0 || !strings.Contains(r.out.String(), "violations=0") {
		t.Errorf("status %d; it said:\n%s", status, r.out)
	}
	wantNothingLeft(t, home)
}

// TestLab_FaultsRefuses: what is mistyped is told before anything starts.
func TestLab_FaultsRefuses(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for want, args := range map[string][]string{
		`there is no case "F0"`:                {"faults", "--case", "F0"},
		`there is no mutant "none"`:            {"mutants", "--mutant", "none"},
		`there is no order of writes ["none"]`: {"exhibits", "--order", "none"},
		`no order of writes none`:              {"exhibit", "none"},
	} {
		if out := runLab(t, home, 1, args...); !strings.Contains(out, want) {
			t.Errorf("%q said %q, want %q", args, out, want)
		}
	}
}
