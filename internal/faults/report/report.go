// Package report writes docs/reliability.md from the verdicts of the fault suite, the mutants and
// a soak. No figure in that document is typed by hand.
package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/template"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/mutants"
	"example.com/payment/internal/faults/soak"
)

// Verdicts are the results that a report is about.
type Verdicts struct {
	Faults  faults.Verdict
	Mutants mutants.Verdict
	Soak    soak.Verdict
}

// Read reads the verdicts from their files.
func Read(faultsPath, mutantsPath, soakPath string) (v Verdicts, err error) {
	for _, one := range []struct {
		path, target string
		to           any
	}{
		{faultsPath, "faults", &v.Faults}, {mutantsPath, "mutants", &v.Mutants},
		{soakPath, "soak", &v.Soak},
	} {
		text, err := os.ReadFile(one.path)
		if err != nil {
			return v, fmt.Errorf("%w: run make %s first", err, one.target)
		}
		if err := json.Unmarshal(text, one.to); err != nil {
			return v, fmt.Errorf("%s: %w", one.path, err)
		}
	}
	return v, nil
}

// Check refuses verdicts that are not those of whole runs: every case and every mutant that there
// is. Verdicts that are not ok are told as they are.
func (v Verdicts) Check(cases []faults.Case, all []mutants.Mutant) error {
	var missing []string
	for _, c := range cases {
		if !slices.ContainsFunc(v.Faults.Cases, func(r faults.Report) bool { return r.Case == c.ID }) {
			missing = append(missing, c.ID)
		}
	}
	for _, m := range all {
		if !slices.ContainsFunc(v.Mutants.Mutants, func(r mutants.Result) bool {
			return r.Name == m.Name
		}) {
			missing = append(missing, m.Name)
		}
	}
	if v.Soak.Rounds == 0 {
		missing = append(missing, "the soak")
	}
	if len(missing) > 0 {
		return fmt.Errorf("the verdicts are not those of whole runs: %s missing",
			strings.Join(missing, ", "))
	}
	return nil
}

//go:embed reliability.md.tmpl
var text string

// Write writes the document.
func (v Verdicts) Write(w io.Writer) error {
	t, err := template.New("reliability.md").Funcs(template.FuncMap{
		"minutes": func(seconds float64) string { return fmt.Sprintf("%.0f", seconds/60) },
		"seconds": func(seconds float64) string { return fmt.Sprintf("%.1f", seconds) },
		"mebi":    func(bytes float64) string { return fmt.Sprintf("%.1f", bytes/(1<<20)) },
		"bound":   bound,
		"things":  things,
		"cpus":    runtime.NumCPU,
		"go":      runtime.Version,
		"cell":    func(s string) string { return strings.ReplaceAll(s, "|", "\\|") },
		"slowest": slowest,
	}).Parse(text)
	if err != nil {
		return err
	}
	return t.Execute(w, v)
}

// bound is the rule of three: no violation in n independent trials means, with 95 % confidence, a
// rate of at most about 3/n. See Hanley and Lippman-Hand, "If nothing goes wrong, is everything
// all right?", JAMA 249 (1983).
func bound(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 300/float64(n))
}

// things lists what was counted, in the order of the names.
func things(counts map[string]int) string {
	var list []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return strings.Join(list, ", ")
}

// slowest is the longest that a backlog took.
func slowest(reports []faults.Report) (longest float64) {
	for _, r := range reports {
		longest = max(longest, r.DrainSeconds)
	}
	return longest
}
