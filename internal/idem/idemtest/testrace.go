package idemtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/payment/internal/idem"
)

// storeRace lets many transactions go for one key at once. Only one may be answered; the others
// may be told ErrRaced, or to try again, for as long as it takes.
func storeRace[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	const racers = 8
	var decided atomic.Int64
	start := make(chan struct{})
	var wg sync.WaitGroup
	for n := range racers {
		wg.Go(func() {
			<-start
			if h.settle(t, s, []idem.Request[T]{h.Request("hot", n)}) {
				decided.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if got := decided.Load(); got != 1 {
		t.Errorf("%d of %d racers decided the key, want 1", got, racers)
	}
	h.expectEffects(t, s, "hot", 1)
}

// storeCrossed commits batches that hold the same keys in opposite orders, which is how
// transactions deadlock when they lock in the order of arrival.
func storeCrossed[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	const rounds = 10
	for round := range rounds {
		var keys []idem.Key
		var up []idem.Request[T]
		for n := range 10 {
			keys = append(keys, idem.Key(fmt.Sprintf("cross-%d-%d", round, n)))
			up = append(up, h.Request(keys[n], n))
		}
		down := slices.Clone(up)
		slices.Reverse(down)
		var wg sync.WaitGroup
		for _, reqs := range [][]idem.Request[T]{up, down} {
			wg.Go(func() { h.settle(t, s, reqs) })
		}
		wg.Wait()
		for _, key := range keys {
			h.expectEffects(t, s, key, 1)
		}
	}
}

// settle commits until all requests are answered (true) or it is told ErrRaced (false).
func (h StoreHarness[T, R]) settle(
	t *testing.T, s idem.Store[T, R], reqs []idem.Request[T],
) bool {
	const attempts = 20
	var last error
	for range attempts {
		answers, err := s.Commit(t.Context(), reqs)
		last = nil
		for i := range reqs {
			last = errors.Join(last, refused(answers, err, i))
		}
		if last == nil {
			return true
		}
		if errors.Is(last, idem.ErrRaced) {
			return false
		}
	}
	t.Errorf("Commit of %d requests: after %d attempts: %v", len(reqs), attempts, last)
	return false
}

// storeGuards sends the same requests through two guards, as two instances of a service do, with
// other content under some of the keys.
func storeGuards[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	var guards []*idem.Guard[T, R]
	for range 2 {
		g := idem.New(s, idem.Cache[R](NewCache[R]()), idem.Options{BatchMax: 16})
		defer g.Close()
		guards = append(guards, g)
	}
	const keys, deliveries = 30, 8
	var tally Tally[R]
	var wg sync.WaitGroup
	for n := range keys * deliveries {
		key := idem.Key(fmt.Sprintf("shared-%d", n%keys))
		content := (n / keys) % 2
		wg.Go(func() {
			d := guards[n%2].Process(t.Context(), h.Request(key, content))
			tally.Add(key, content, d)
		})
	}
	wg.Wait()
	for n := range keys {
		key := idem.Key(fmt.Sprintf("shared-%d", n))
		got := tally.Of(key)
		if got.Decided != 1 || got.Decided+got.Duplicate+got.Conflict+got.Retry != deliveries ||
			got.Retry != 0 {
			t.Errorf("key %q: %+v, want 1 decided and no retry", key, got)
		}
		if got.Conflict != deliveries/2 {
			t.Errorf("key %q: %d conflicts, want %d", key, got.Conflict, deliveries/2)
		}
		h.expectEffects(t, s, key, 1)
	}
	tally.Check(t, h.Equal)
}
