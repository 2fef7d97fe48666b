package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/payment/internal/devstack"
)

// Case is one entry of the catalogue of faults.
type Case struct {
	// ID is its number in the catalogue, such as F22.
	ID string
	// Title says in a line what is broken, and when.
	Title string
	// Quick cases run with the tests, the others only in the whole suite.
	Quick bool
	// Alone cases break what cannot be mended, or need servers that are set up otherwise: they get
	// a rig of their own.
	Alone bool
	// Stack changes how the servers of such a rig are set up.
	Stack func(*devstack.Options)
	// Faults are the kinds of fault (see Journal.Fired) that must have happened: a case in which
	// one did not happen is invalid, and not passed.
	Faults []string
	// Run breaks things and sends messages meanwhile. It need not wait for the backlog, nor mend,
	// nor check: that is done for every case in the same way. An error says that something was
	// otherwise than the case demands.
	Run func(context.Context, *Rig) error
}

// Report is what became of one case.
type Report struct {
	Case  string `json:"case"`
	Title string `json:"title"`
	// Passed is true when all faults happened, the case's own demands were met, and no invariant
	// was violated.
	Passed bool `json:"passed"`
	// Problem says what the case itself found wrong, beside the violations.
	Problem string `json:"problem,omitempty"`
	// Demand names the invariant that the problem is about, if it is about one.
	Demand string `json:"demand,omitempty"`
	// Missing are the faults that did not happen.
	Missing    []string       `json:"missing,omitempty"`
	Violations []Violation    `json:"violations,omitempty"`
	Fired      map[string]int `json:"fired"`
	Messages   int            `json:"messages"`
	Samples    int            `json:"samples"`
	Seconds    float64        `json:"seconds"`
	// DrainSeconds is how long after the last fault the backlog was decided and answered.
	DrainSeconds float64 `json:"drain_seconds"`
}

// Demand is an error of a case that has seen a promise broken which the invariants have a name for,
// such as A1: the checks afterwards may find that it was kept in the end.
type Demand struct {
	Invariant string
	Err       error
}

// Error says what was seen.
func (d *Demand) Error() string { return d.Err.Error() }

// Unwrap returns what was seen.
func (d *Demand) Unwrap() error { return d.Err }

// NewDemand is nil without an error.
func NewDemand(invariant string, err error) error {
	if err == nil {
		return nil
	}
	return &Demand{invariant, err}
}

// caseLimit bounds one case, so that a suite ends whatever happens.
const caseLimit = 10 * time.Minute

// RunCase runs one case on a rig, checks what it left behind, and ends its consumers.
func (r *Rig) RunCase(ctx context.Context, c Case) Report {
	report := r.Observe(ctx, c)
	if err := r.KillAll(); err != nil {
		report.Problem, report.Passed = join(report.Problem, err.Error()), false
	}
	return report
}

// Observe is RunCase for consumers that go on.
func (r *Rig) Observe(ctx context.Context, c Case) Report {
	ctx, cancel := context.WithTimeout(ctx, caseLimit)
	defer cancel()
	begin := time.Now()
	before, sent := r.Journal.Counts(), len(r.Record.All())
	_, _ = r.sampler.take()
	r.Journal.enter(c.ID)
	report := Report{Case: c.ID, Title: c.Title, Fired: map[string]int{}}
	if err := c.Run(ctx, r); err != nil {
		report.Problem = err.Error()
		var demand *Demand
		if errors.As(err, &demand) {
			report.Demand = demand.Invariant
		}
	}
	drained, late, err := r.Settle(ctx)
	report.DrainSeconds = drained.Seconds()
	if err == nil {
		report.Samples = r.sampler.count()
		report.Violations, err = r.Check(ctx)
	}
	report.Violations = append(late, report.Violations...)
	if err != nil {
		report.Problem = join(report.Problem, err.Error())
	}
	for kind, count := range r.Journal.Counts() {
		if count > before[kind] {
			report.Fired[kind] = count - before[kind]
		}
	}
	for _, kind := range c.Faults {
		if report.Fired[kind] == 0 {
			report.Missing = append(report.Missing, kind)
		}
	}
	for _, v := range report.Violations {
		r.Journal.violation(v)
	}
	report.Messages = len(r.Record.All()) - sent
	report.Passed = report.Problem == "" && len(report.Violations)+len(report.Missing) == 0
	report.Seconds = time.Since(begin).Seconds()
	return report
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Select returns the cases with these IDs, all of them if there are none, and an error that
// names an ID that does not exist.
func Select(all []Case, ids ...string) ([]Case, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var chosen []Case
	for _, id := range ids {
		i := slices.IndexFunc(all, func(c Case) bool { return c.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q", id)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
