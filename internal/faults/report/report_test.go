package report

import (
	"strings"
	"testing"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/mutants"
	"example.com/payment/internal/faults/soak"
)

func verdicts() Verdicts {
	v := Verdicts{
		Faults: faults.NewVerdict(7),
		Mutants: mutants.Verdict{Mutants: []mutants.Result{
			{Name: "caught", Title: "one mistake", CaughtBy: "F22: I5"},
			{Name: "missed", Title: "another | mistake"},
		}},
		Soak: soak.Verdict{Rounds: 3, Duration: "10m0s", Before: soak.Footprint{HeapBytes: 3 << 20}},
	}
	v.Faults.Counters["kills"] = 300
	v.Faults.Add(faults.Report{
		Case: "F1", Title: "a crash", Passed: true, Fired: map[string]int{"kill": 300},
		DrainSeconds: 2.5,
	})
	v.Faults.Add(faults.Report{
		Case: "F2", Problem: "too late", Violations: []faults.Violation{{Invariant: "I4"}},
	})
	v.Soak.Verdict = faults.NewVerdict(9)
	return v
}

func TestVerdicts_Write(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := verdicts().Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"make faults SEED=7", "2 cases, 1 violations, 0 cases",
		"| consumers killed with `kill -9` | 300 | 1.00 % |",
		"| deadlocks (1213) | 0 | - |",
		"| F1 | a crash | kill 300 | 0 | 2.5 s | ok |",
		"**failed**: too late I4", "drained 2.5 s after",
		"| `caught` | one mistake | F22: I5 |", `| another \| mistake | **nobody** |`,
		"make soak DURATION=10m0s SEED=9", "| after the warm-up | 0 | 3.0 MiB |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %q in it:\n%s", want, b.String())
		}
	}
}

func TestVerdicts_Check(t *testing.T) {
	t.Parallel()
	cases := []faults.Case{{ID: "F1"}, {ID: "F2"}}
	all := []mutants.Mutant{{Name: "caught"}, {Name: "missed"}}
	if err := verdicts().Check(cases, all); err != nil {
		t.Error(err)
	}
	v := verdicts()
	v.Soak.Rounds = 0
	err := v.Check(append(cases, faults.Case{ID: "F3"}), append(all, mutants.Mutant{Name: "new"}))
	if err == nil || !strings.Contains(err.Error(), "F3, new, the soak missing") {
		t.Errorf("verdicts of parts of a run: %v", err)
	}
}

func TestRead_Missing(t *testing.T) {
	t.Parallel()
	_, err := Read(t.TempDir()+"/verdict.json", "", "")
	if err == nil || !strings.Contains(err.Error(), "run make faults first") {
		t.Errorf("without verdicts: %v", err)
	}
}
