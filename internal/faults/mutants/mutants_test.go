package mutants

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/cases"
)

// TestAll_Compile applies every patch to the sources as they are today. One that no longer fits,
// or no longer compiles, would be noticed only in a run that takes half an hour.
func TestAll_Compile(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 19 {
		t.Errorf("%d mutants, the catalogue of mistakes has 19", len(all))
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(m.files(), "go.mod") && os.Getenv("PAYMENT_TEST_REQUIRE") == "" {
				t.Skip("needs another version of a module, out of the network")
			}
			// Without -o, go build leaves a program behind.
			args := append([]string{"-o", os.DevNull}, m.packages()...)
			if err := m.compile(t.Context(), root, t.TempDir(), args...); err != nil {
				t.Error(err)
			}
			if _, err := faults.Select(cases.All(), m.Cases...); err != nil {
				t.Error(err)
			}
		})
	}
}

// packages are those that the patch changes. Compiling them is enough, and much less than linking.
func (m Mutant) packages() []string {
	var packages []string
	for _, name := range m.files() {
		if strings.HasSuffix(name, ".go") {
			packages = append(packages, "./"+path.Dir(name))
		} else {
			packages = append(packages, "./internal/rocketmq")
		}
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

func TestParse(t *testing.T) {
	t.Parallel()
	const patch = "diff --git a/x.go b/x.go\n--- a/x.go\n+++ b/x.go\n"
	for name, c := range map[string]struct {
		text string
		want Mutant
		err  string
	}{
		"Whole": {
			"Title: a mistake\nCases: F1 F2\nSetup: DROP\n  KEY k\n\n" + patch,
			Mutant{"n", "a mistake", []string{"F1", "F2"}, "DROP KEY k", patch}, "",
		},
		"NoPatch":      {"Title: a\nCases: F1\n", Mutant{}, "no patch"},
		"NoTitle":      {"Cases: F1\n\n" + patch, Mutant{}, "no title"},
		"NoCases":      {"Title: a\n\n" + patch, Mutant{}, "no cases"},
		"UnknownField": {"Title: a\nCase: F1\n\n" + patch, Mutant{}, `no field "Case"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse("n", c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q in it", err, c.err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("error %v, got (+), want (-):\n%s", err, diff)
			}
			if diff := cmp.Diff([]string{"x.go"}, got.files()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoticed: a fault that did not happen catches nobody.
func TestNoticed(t *testing.T) {
	t.Parallel()
	for want, report := range map[string]faults.Report{
		"":             {Missing: []string{"kill"}},
		"too late":     {Problem: "too late", Missing: []string{"kill"}},
		"I4 I5 (late)": {Problem: "late", Violations: violations("I5", "I4", "I5")},
		"I1":           {Violations: violations("I1")},
	} {
		if got := noticed(report); got != want {
			t.Errorf("noticed(%+v) = %q, want %q", report, got, want)
		}
	}
}

func violations(invariants ...string) []faults.Violation {
	var all []faults.Violation
	for _, i := range invariants {
		all = append(all, faults.Violation{Invariant: i})
	}
	return all
}
