package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"example.com/payment/internal/order"
)

// Verdict is the result of a run, as it is written to verdict.json.
type Verdict struct {
	// OK is true when every case passed.
	OK   bool   `json:"ok"`
	Seed uint64 `json:"seed"`
	// Violations counts the violated invariants over all cases, Invalid the cases that did not
	// pass for another reason.
	Violations int            `json:"violations"`
	Invalid    int            `json:"invalid"`
	Counters   map[string]int `json:"counters"`
	// KillsAt divides the kills by where they happened.
	KillsAt map[string]int `json:"kills_at"`
	Seconds float64        `json:"seconds"`
	Cases   []Report       `json:"cases"`
}

// counters are the figures that a verdict always has, by the kinds of fault they count.
var counters = map[string]string{ //nolint:gochecknoglobals // never changes
	"kills": "kill", "commit_cuts_before": "cut before COMMIT",
	"commit_cuts_after": "cut after COMMIT", "deadlocks": "deadlock",
}

// NewVerdict is the verdict of a run in which nothing has happened yet.
func NewVerdict(seed uint64) Verdict {
	v := Verdict{
		Seed: seed, Counters: map[string]int{"duplicates": 0, "conflicts": 0}, KillsAt: map[string]int{},
	}
	for kind := range counters {
		v.Counters[kind] = 0
	}
	return v
}

// Add counts a report.
func (v *Verdict) Add(report Report) {
	v.Cases = append(v.Cases, report)
	v.Violations += len(report.Violations)
	if !report.Passed && len(report.Violations) == 0 {
		v.Invalid++
	}
}

// Run runs cases one after the other: those that can share one rig on one, the others each on
// its own. It ends early only when ctx does or a rig does not start.
func Run(ctx context.Context, cfg Config, cases []Case) (v Verdict, err error) {
	begin := time.Now()
	v = NewVerdict(cfg.Seed)
	var shared []Case
	for _, c := range cases {
		if !c.Alone {
			shared = append(shared, c)
		}
	}
	if len(shared) > 0 {
		err = v.run(ctx, cfg, shared)
	}
	for _, c := range cases {
		if c.Alone && err == nil {
			alone := cfg
			alone.Folder, alone.Stack = filepath.Join(cfg.Folder, c.ID), c.Stack
			err = v.run(ctx, alone, []Case{c})
		}
	}
	v.Seconds = time.Since(begin).Seconds()
	v.OK = err == nil && v.Violations == 0 && v.Invalid == 0 && len(v.Cases) == len(cases)
	return v, err
}

// run runs cases on one rig.
func (v *Verdict) run(ctx context.Context, cfg Config, cases []Case) (err error) {
	r, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, c := range cases {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, _ = fmt.Fprintf(cfg.Out, "%-4s %s\n", c.ID, c.Title)
		report := r.RunCase(ctx, c)
		report.Print(cfg.Out)
		v.Add(report)
	}
	v.Count(r)
	return nil
}

// Count adds up what happened on one rig.
func (v *Verdict) Count(r *Rig) {
	fired := r.Journal.Counts()
	for kind, fault := range counters {
		v.Counters[kind] += fired[fault]
	}
	for point, times := range r.Journal.Proofs("kill") {
		v.KillsAt[point] += times
	}
	for status, times := range r.Record.Count() {
		v.Counters["sends_"+string(status)] += times
	}
	for _, answer := range r.Answers.All() {
		switch answer.Outcome {
		case order.Duplicate:
			v.Counters["duplicates"]++
		case order.Conflict:
			v.Counters["conflicts"]++
		case order.Paid, order.Declined, order.Rejected, order.Retry:
		}
	}
}

// Print says in a few lines what became of a case.
func (r Report) Print(out io.Writer) {
	state := "ok"
	if !r.Passed {
		state = "FAILED"
	}
	_, _ = fmt.Fprintf(out, "     %s in %.0f s: %d messages, drained after %.1f s, %v\n",
		state, r.Seconds, r.Messages, r.DrainSeconds, r.Fired)
	if r.Problem != "" {
		_, _ = fmt.Fprintf(out, "     %s\n", r.Problem)
	}
	for _, fault := range r.Missing {
		_, _ = fmt.Fprintf(out, "     invalid: the fault %q never happened\n", fault)
	}
	for _, one := range r.Violations {
		_, _ = fmt.Fprintf(out, "     %s violated: %s\n", one.Invariant, one.Detail)
	}
}

// WriteVerdict puts a verdict, of this package or of another kind of run, into a file.
func WriteVerdict(path string, verdict any) error {
	text, err := json.MarshalIndent(verdict, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
