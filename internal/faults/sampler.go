package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/mysql"
)

// sampleEvery is the pause between two looks of the sampler: each reads the whole ledger.
const sampleEvery = 2 * time.Second

// sampler audits the system while it is being broken: money must be conserved and the cache must
// know nothing that the database does not at every moment, and not only when all is calm again.
type sampler struct {
	rig    *Rig
	cancel context.CancelFunc
	done   sync.WaitGroup
	// look is held for each look.
	look sync.Mutex

	mu         sync.Mutex
	samples    int // looks that saw everything
	blind      int // looks that failed, because a server was away
	violations []Violation
}

func startSampler(r *Rig) *sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sampler{rig: r, cancel: cancel}
	s.done.Go(func() {
		for ctx.Err() == nil {
			s.look.Lock()
			found, err := r.audit(ctx)
			s.look.Unlock()
			s.note(ctx, found, err)
			devstack.Pause(ctx, sampleEvery)
		}
	})
	return s
}

func (s *sampler) note(ctx context.Context, found []Violation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.blind++
	default:
		s.samples++
	}
	for _, v := range found {
		known := slices.ContainsFunc(s.violations, func(old Violation) bool {
			return old.Invariant == v.Invariant
		})
		if !known { // what is wrong stays wrong, and would be said again at each look
			v.Detail = "while faults happened: " + v.Detail
			s.violations = append(s.violations, v)
		}
	}
}

// take returns what was found since the last call, and how many looks there were.
func (s *sampler) take() (found []Violation, samples int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, samples = s.violations, s.samples
	s.violations, s.samples = nil, 0
	return found, samples
}

func (s *sampler) stop() {
	s.cancel()
	s.done.Wait()
}

// audit runs payment-consumer audit against the servers themselves, past every proxy. An error
// means that it could not look, not that it found something.
func (r *Rig) audit(ctx context.Context) ([]Violation, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.Auditor, "audit", "-o", "json")
	cmd.Env = r.Stack.Environ()
	cmd.WaitDelay = time.Second
	out, failed := cmd.Output()
	var verdict struct {
		Findings []mysql.Finding `json:"findings"`
		Note     string          `json:"note"`
	}
	if err := json.Unmarshal(out, &verdict); err != nil {
		return nil, fmt.Errorf("audit: %w (%w)", failed, err)
	}
	var found []Violation
	for _, f := range verdict.Findings {
		if f.Violations > 0 {
			found = append(found, Violation{
				Invariant: f.Rule,
				Detail: fmt.Sprintf("%s: %d violations, such as %q", f.Text, f.Violations,
					f.Examples[:min(len(f.Examples), maxExamples)]),
			})
		}
	}
	if verdict.Note != "" {
		return found, fmt.Errorf("audit: %s", verdict.Note)
	}
	return found, nil
}

// count is how many looks saw everything since the last take.
func (s *sampler) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.samples
}
