package mutants

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/payment/internal/faults"
)

// Verdict says of each mutant whether it was caught, as it is written to verdict.json.
type Verdict struct {
	// OK is true when every mutant was caught, and the program as it is was not.
	OK      bool     `json:"ok"`
	Seed    uint64   `json:"seed"`
	Seconds float64  `json:"seconds"`
	Mutants []Result `json:"mutants"`
	Control Result   `json:"control"`
}

// Result is what became of one mutant.
type Result struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	// CaughtBy names the case, and the invariants that were violated or else what the case itself
	// found wrong. It is empty for a mutant that nobody caught.
	CaughtBy string   `json:"caught_by"`
	Cases    []string `json:"cases"`
	Seconds  float64  `json:"seconds"`
}

// DrainLimit is for programs that lose messages: there is no need to wait for those for minutes.
// That the program as it is passes with it shows that it is long enough.
const DrainLimit = 60 * time.Second

// atOnce is how many mutants are tried side by side: they wait most of the time, for what never
// comes.
const atOnce = 3

// Run tries the program as it is, and then every mutant, each with servers of its own. The sources
// are below root.
func Run(
	ctx context.Context, cfg faults.Config, root string, cases []faults.Case, chosen []Mutant,
) (v Verdict, err error) {
	begin := time.Now()
	v = Verdict{Seed: cfg.Seed, Mutants: make([]Result, len(chosen))}
	cfg.DrainLimit = DrainLimit
	if v.Control, err = try(ctx, cfg, root, cases, Control(chosen)); err != nil {
		return v, err
	}
	v.Control.print(cfg.Out)
	v.OK = v.Control.CaughtBy == ""
	var printing sync.Mutex
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, m := range chosen {
		group.Go(func() (err error) {
			var said bytes.Buffer
			own := cfg
			own.Out = &said
			v.Mutants[i], err = try(ctx, own, root, cases, m)
			v.Mutants[i].print(&said)
			printing.Lock()
			defer printing.Unlock()
			_, _ = cfg.Out.Write(said.Bytes())
			return err
		})
	}
	err = group.Wait()
	for _, result := range v.Mutants {
		v.OK = v.OK && err == nil && result.CaughtBy != ""
	}
	v.Seconds = time.Since(begin).Seconds()
	return v, err
}

// try builds one mutant and runs its cases.
func try(
	ctx context.Context, cfg faults.Config, root string, cases []faults.Case, m Mutant,
) (result Result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("mutant %s: %w", m.Name, err)
		}
	}()
	begin := time.Now()
	_, _ = fmt.Fprintf(cfg.Out, "%s: %s\n", m.Name, m.Title)
	result = Result{Name: m.Name, Title: m.Title, Cases: m.Cases}
	cfg.Folder = filepath.Join(cfg.Folder, m.Name)
	if err := os.MkdirAll(cfg.Folder, 0o755); err != nil {
		return result, err
	}
	if cfg.Consumer, err = m.Build(ctx, root, cfg.Folder); err != nil {
		return result, err
	}
	cfg.Setup = m.Setup
	expected, err := faults.Select(cases, m.Cases...)
	if err != nil {
		return result, err
	}
	if m.Patch == "" {
		result.CaughtBy, err = passAll(ctx, cfg, expected)
	} else {
		result.CaughtBy, err = catch(ctx, cfg, expected)
	}
	result.Seconds = time.Since(begin).Seconds()
	return result, err
}

// passAll runs all cases and says what did not pass.
func passAll(ctx context.Context, cfg faults.Config, cases []faults.Case) (string, error) {
	verdict, err := faults.Run(ctx, cfg, cases)
	var problems []string
	for _, report := range verdict.Cases {
		if !report.Passed {
			problems = append(problems, fmt.Sprint(report.Case, ": ", noticed(report), report.Missing))
		}
	}
	return strings.Join(problems, "; "), err
}

// catch runs one case after the other until one of them notices, each with servers of its own:
// what a mutant has spoilt must not be blamed on the next case.
func catch(ctx context.Context, cfg faults.Config, cases []faults.Case) (string, error) {
	for _, c := range cases {
		caught, err := tryCase(ctx, cfg, c)
		if err != nil {
			return "", err
		}
		if caught != "" {
			return c.ID + ": " + caught, nil
		}
	}
	return "", nil
}

// tryCase runs one case and says what was wrong, if anything was.
func tryCase(ctx context.Context, cfg faults.Config, c faults.Case) (caught string, err error) {
	if c.Stack != nil {
		cfg.Stack = c.Stack
	}
	rig, err := faults.Open(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rig.Close()) }()
	report := rig.RunCase(ctx, c)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return noticed(report), nil
}

// noticed says what a case has found: the invariants that were violated, and what the case itself
// demands. A fault that did not happen is neither.
func noticed(report faults.Report) string {
	var invariants []string
	for _, v := range report.Violations {
		if !slices.Contains(invariants, v.Invariant) {
			invariants = append(invariants, v.Invariant)
		}
	}
	if report.Demand != "" && !slices.Contains(invariants, report.Demand) {
		invariants = append(invariants, report.Demand)
	}
	slices.Sort(invariants)
	found := strings.Join(invariants, " ")
	if report.Problem == "" {
		return found
	}
	if found == "" {
		return report.Problem
	}
	return found + " (" + report.Problem + ")"
}

func (r Result) print(out io.Writer) {
	state := "caught by " + r.CaughtBy
	if r.CaughtBy == "" {
		state = "not caught by " + strings.Join(r.Cases, ", ")
	}
	_, _ = fmt.Fprintf(out, "    %s (%.0f s)\n", state, r.Seconds)
}
