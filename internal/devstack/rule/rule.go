// Package rule decides when an injected fault happens, and keeps the count that makes a run of
// the fault rig valid: a fault that never happened proves nothing.
package rule

import (
	"math/rand/v2"
	"sync"
)

// When says on which of the events that a rule is for its fault happens. The zero value is never.
type When struct {
	once  bool
	every int
	p     float64
	seed  uint64
}

// Once is the next event, and no other.
func Once() When { return When{once: true} }

// Always is each event.
func Always() When { return Every(1) }

// Every is each n-th event, the first time the n-th. Below 1 it is each event.
func Every(n int) When { return When{every: max(n, 1)} }

// Chance is each event with probability p. The same seed makes the same choices.
func Chance(p float64, seed uint64) When { return When{p: p, seed: seed} }

// Rule is the schedule and the count of one fault. Its methods are safe for concurrent use.
type Rule struct {
	when          When
	reached, done chan struct{}

	mu      sync.Mutex
	random  *rand.Rand
	matched int
	pending int // chosen, and not yet known to have happened
	fired   int
	removed bool
}

// New makes a rule that fires when its schedule says so.
func New(when When) *Rule {
	return &Rule{
		when:    when,
		reached: make(chan struct{}),
		done:    make(chan struct{}),
		random:  rand.New(rand.NewPCG(when.seed, 0)),
	}
}

// Matched is how many events the rule was asked about.
func (r *Rule) Matched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.matched
}

// Fired is how many faults have happened.
func (r *Rule) Fired() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fired
}

// Reached is closed when the first event that was chosen is there, before its fault happens.
func (r *Rule) Reached() <-chan struct{} { return r.reached }

// Done is closed when the first fault has happened.
func (r *Rule) Done() <-chan struct{} { return r.done }

// Remove keeps the rule from choosing further events. A fault that is under way still happens
// and is counted.
func (r *Rule) Remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed = true
}

// Over reports whether no event can be chosen any more.
func (r *Rule) Over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed || r.when.once && r.fired > 0
}

// Take is told of an event and says whether it is chosen. Whoever is told so calls either Fire
// or GiveBack.
func (r *Rule) Take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.removed {
		return false
	}
	r.matched++
	if !r.due() {
		return false
	}
	r.pending++
	closeOnce(r.reached)
	return true
}

func (r *Rule) due() bool {
	switch {
	case r.when.once:
		return r.pending+r.fired == 0
	case r.when.every > 0:
		return r.matched%r.when.every == 0
	}
	return r.random.Float64() < r.when.p
}

// Fire counts the fault of an event that was chosen.
func (r *Rule) Fire() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending--
	r.fired++
	closeOnce(r.done)
}

// GiveBack says that the fault of a chosen event could not happen, because the connection ended
// first. A rule for one event then waits for the next one.
func (r *Rule) GiveBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending--
}

// closeOnce is for callers that hold the rule's lock.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
