package idem

import (
	"errors"
	"fmt"
	"time"
)

// batch is the state of one batch on its way through the steps. It belongs to one goroutine.
type batch[T, R any] struct {
	reqs      []Request[T]
	decisions []Decision[R]
	// leading are the requests of this round, one per key; following wait for the leader of
	// their key, whose record answers them.
	leading   []int
	following []int
	cacheable map[Key]Record[R]
	report    Batch
}

func newBatch[T, R any](arrivals []arrival[T]) *batch[T, R] {
	b := &batch[T, R]{
		reqs:      make([]Request[T], len(arrivals)),
		decisions: make([]Decision[R], len(arrivals)),
		following: make([]int, len(arrivals)),
		cacheable: make(map[Key]Record[R], len(arrivals)),
	}
	now := time.Now()
	for i, a := range arrivals {
		b.reqs[i] = a.req
		b.decisions[i].Steps.Wait = now.Sub(a.at)
		b.following[i] = i // nobody leads before the first election
	}
	return b
}

// elect makes the first unanswered request of each key a leader, and reports whether there is
// any. Each round answers every leader, so a batch of n requests ends within n rounds.
func (b *batch[T, R]) elect() bool {
	leads := make(map[Key]bool, len(b.following))
	waiting := b.following
	b.leading, b.following = nil, nil
	for _, i := range waiting {
		if key := b.reqs[i].Key; leads[key] {
			b.following = append(b.following, i)
		} else {
			leads[key] = true
			b.leading = append(b.leading, i)
		}
	}
	return len(b.leading) > 0
}

// open lists the leaders that have no decision yet.
func (b *batch[T, R]) open() []int {
	open := make([]int, 0, len(b.leading))
	for _, i := range b.leading {
		if b.decisions[i].Verdict == 0 {
			open = append(open, i)
		}
	}
	return open
}

func (b *batch[T, R]) openKeys() []Key {
	open := b.open()
	keys := make([]Key, len(open))
	for n, i := range open {
		keys[n] = b.reqs[i].Key
	}
	return keys
}

func (b *batch[T, R]) requests(indexes []int) []Request[T] {
	reqs := make([]Request[T], len(indexes))
	for n, i := range indexes {
		reqs[n] = b.reqs[i]
	}
	return reqs
}

// settle gives request i its decision; the time it waited is already there.
func (b *batch[T, R]) settle(i int, d Decision[R]) {
	d.Steps = b.decisions[i].Steps
	b.decisions[i] = d
}

// settleAnswer turns what the store said of request i into its decision.
func (b *batch[T, R]) settleAnswer(i int, a Answer[R]) {
	switch a.Verdict {
	case Decided:
		b.report.Committed = true
		b.cacheable[a.Record.Key] = a.Record
		b.settle(i, Decision[R]{Verdict: Decided, Record: a.Record, By: ByCommit})
	case Duplicate:
		b.report.Committed = true
		b.cacheable[a.Record.Key] = a.Record
		b.settle(i, Decision[R]{Verdict: Duplicate, Record: a.Record, By: ByStore})
	case Conflict:
		b.settle(i, Decision[R]{Verdict: Conflict, Record: a.Record, By: ByStore})
	case Retry:
		b.settle(i, Decision[R]{Verdict: Retry, Err: reasonFor(a.Err)})
	default:
		b.settle(i, Decision[R]{Verdict: Retry, Err: fmt.Errorf(
			"idem: store answered key %q with verdict %d", b.reqs[i].Key, a.Verdict)})
	}
}

// reasonFor makes sure that a retry always says why.
func reasonFor(err error) error {
	if err == nil {
		return errors.New("idem: store asked for a retry without a reason")
	}
	return err
}

// settleFollowers answers the requests whose key a leader has just had answered: with its record
// if it has one, with its retry if it failed. A leader whose conflict left no record under the
// key decides about followers with the same content, and nothing about others, which go into the
// next round. So do those that differ from a record which only the cache has vouched for: the store
// must confirm it.
func (b *batch[T, R]) settleFollowers() {
	leaders := make(map[Key]int, len(b.leading))
	for _, i := range b.leading {
		leaders[b.reqs[i].Key] = i
	}
	var unanswered []int
	for _, i := range b.following {
		first := leaders[b.reqs[i].Key]
		leader := b.decisions[first]
		switch {
		case leader.Verdict == Retry:
			b.settle(i, leader)
		case leader.Record.Key == b.reqs[i].Key:
			d := judge(b.reqs[i], leader.Record, ByBatch)
			if leader.By == ByCache && d.Verdict != Duplicate {
				unanswered = append(unanswered, i)
				continue
			}
			b.settle(i, d)
		case leader.Verdict == Conflict && alike(b.reqs[first], b.reqs[i], leader.Record):
			b.settle(i, Decision[R]{Verdict: Conflict, Record: leader.Record, By: ByBatch})
		default:
			unanswered = append(unanswered, i)
		}
	}
	b.following = unanswered
}

// alike says whether two requests have the same content, by the rules under which one of them was
// found to differ from a record.
func alike[T, R any](a, b Request[T], record Record[R]) bool {
	sumA, known := a.Fingerprint(record.Fingerprint.Version)
	sumB, _ := b.Fingerprint(record.Fingerprint.Version)
	return known && sumA == sumB
}

// clock adds the time until the returned function is called to a step of the report.
func (b *batch[T, R]) clock(step *time.Duration) (stop func()) {
	start := time.Now()
	return func() { *step += time.Since(start) }
}

// answers are the decisions, each with its own waiting time and the batch's other times.
func (b *batch[T, R]) answers() []Decision[R] {
	for i := range b.decisions {
		steps := b.report.Steps
		steps.Wait = b.decisions[i].Steps.Wait
		b.decisions[i].Steps = steps
	}
	return b.decisions
}
