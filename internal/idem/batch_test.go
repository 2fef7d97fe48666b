package idem_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

func TestGuard_Process_SameKeyInOneBatch(t *testing.T) {
	t.Parallel()
	t.Run("LeaderDecides", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := setup(t, idemtest.Echo[string], nil)
			got := r.together(
				idemtest.Request("k", "red"), idemtest.Request("n", "green"),
				idemtest.Request("k", "red"), idemtest.Request("k", "blue"),
			)
			check(t, "leader", got[0], idem.Decided, idem.ByCommit, "red")
			check(t, "neighbour", got[1], idem.Decided, idem.ByCommit, "green")
			check(t, "follower", got[2], idem.Duplicate, idem.ByBatch, "red")
			check(t, "other content", got[3], idem.Conflict, idem.ByBatch, "red")
			checkEffects(t, r.store, "k", 1)
			b := r.lastBatch()
			if b.Size != 4 || b.Commits != 1 || b.CacheLookups != 2 || b.CacheHits != 0 ||
				!b.Committed || b.Races != 0 || b.CacheErr != nil {
				t.Errorf("batch %+v, want 4 requests, 2 lookups, 1 commit", b)
			}
		})
	})
	t.Run("LeaderFails", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := setup(t, idemtest.Echo[string], nil)
			r.deliver("plug", "plug")
			r.store.Break(idemtest.Commit, idemtest.FailBefore(errBroken))
			got := r.together(idemtest.Request("k", "red"), idemtest.Request("k", "red"),
				idemtest.Request("k", "blue"))
			for i, d := range got {
				checkRetry(t, fmt.Sprintf("request %d", i), d, errBroken)
			}
			if got := r.store.Calls(idemtest.Commit); got != 2 { // the plug's and this one
				t.Errorf("%d commits, want 2: followers share their leader's retry", got)
			}
		})
	})
	t.Run("LeaderIsKnownToStore", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := setup(t, idemtest.Echo[string], nil)
			r.store.Plant(recordOf("k", "red"))
			got := r.together(idemtest.Request("k", "blue"), idemtest.Request("k", "red"))
			check(t, "leader", got[0], idem.Conflict, idem.ByStore, "red")
			check(t, "follower", got[1], idem.Duplicate, idem.ByBatch, "red")
			checkEffects(t, r.store, "k", 0)
			if b := r.lastBatch(); b.Committed || b.Commits != 0 {
				t.Errorf("batch %+v, want no commit", b)
			}
		})
	})
}

// A conflict that only the cache has seen is none, for a follower as for anybody else.
func TestGuard_Process_LeaderKnownToCacheOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored  bool
		verdict idem.Verdict
		by      idem.Source
		answer  string
	}{
		"Confirmed": {true, idem.Conflict, idem.ByStore, "red"},
		"Stale":     {false, idem.Decided, idem.ByCommit, "blue"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := setup(t, idemtest.Echo[string], nil)
				put(t, r.cache, recordOf("k", "red"))
				if c.stored {
					r.store.Plant(recordOf("k", "red"))
				}
				got := r.together(idemtest.Request("k", "red"), idemtest.Request("k", "blue"),
					idemtest.Request("k", "red"))
				check(t, "leader", got[0], idem.Duplicate, idem.ByCache, "red")
				check(t, "other content", got[1], c.verdict, c.by, c.answer)
				check(t, "follower", got[2], idem.Duplicate, idem.ByBatch, "red")
			})
		})
	}
}

// seats decides one request for each seat, which is the payload without its colour. A second
// key for the same seat is a duplicate with the same colour, and conflicts with another.
func seats(tx *idemtest.Tx[string], req request) (idem.Answer[string], error) {
	seat, _, _ := strings.Cut(req.Payload, " ")
	for taken := range tx.Records() {
		switch held, _, _ := strings.Cut(taken.Answer, " "); {
		case held != seat:
		case taken.Answer != req.Payload:
			return idem.Answer[string]{Verdict: idem.Conflict, Record: taken}, nil
		default:
			taken.Key = req.Key
			return idem.Answer[string]{Verdict: idem.Duplicate, Record: taken}, nil
		}
	}
	return idemtest.Echo(tx, req)
}

// Copies of one conflict cost one transaction, and not one each.
func TestGuard_Process_ConflictsAlike(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, seats, nil)
		r.deliver("first", "12A red")
		blue := idemtest.Request("k", "12A blue")
		got := r.together(blue, blue, blue)
		check(t, "conflict", got[0], idem.Conflict, idem.ByStore, "12A red")
		for _, again := range got[1:] {
			check(t, "the same again", again, idem.Conflict, idem.ByBatch, "12A red")
		}
	})
}

func TestGuard_Process_DecidedUnderAnotherKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, seats, nil)
		check(t, "first", r.deliver("first", "12A red"), idem.Decided, idem.ByCommit, "12A red")
		got := r.together(
			idemtest.Request("k", "12A blue"), // conflicts, and leaves nothing under its key
			idemtest.Request("k", "12A green"),
			idemtest.Request("k", "12A red"), // so that this one is free to use it
			idemtest.Request("k", "12A red"),
			idemtest.Request("k", "7C red"),
		)
		check(t, "conflict", got[0], idem.Conflict, idem.ByStore, "12A red")
		check(t, "another", got[1], idem.Conflict, idem.ByStore, "12A red")
		check(t, "same content", got[2], idem.Duplicate, idem.ByStore, "12A red")
		check(t, "its follower", got[3], idem.Duplicate, idem.ByBatch, "12A red")
		check(t, "other content", got[4], idem.Conflict, idem.ByBatch, "12A red")
		if got[0].Record.Key != "first" || got[2].Record.Key != "k" {
			t.Errorf("records under %q and %q, want first and k",
				got[0].Record.Key, got[2].Record.Key)
		}
		checkEffects(t, r.store, "first", 1)
		checkEffects(t, r.store, "k", 0)
		check(t, "cached", r.deliver("k", "12A red"), idem.Duplicate, idem.ByCache, "12A red")
		if _, ok := r.cache.Records()["first"]; !ok {
			t.Error("the first record is not cached")
		}
	})
}

func TestGuard_Process_Isolates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bad    []int
		size   int
		panics bool
		most   int // commits, with the plug's
	}{
		"OneOfMany":    {bad: []int{5}, size: 9, most: 10},
		"First":        {bad: []int{0}, size: 8, most: 8},
		"Last":         {bad: []int{7}, size: 8, most: 8},
		"Two":          {bad: []int{2, 11}, size: 16, most: 17},
		"All":          {bad: []int{0, 1, 2, 3}, size: 4, most: 8},
		"Alone":        {bad: []int{0}, size: 1, most: 2},
		"OnePanicking": {bad: []int{5}, size: 9, panics: true, most: 10},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := setup(t, failOnBad(c.panics), nil)
				bad := make(map[int]bool)
				for _, i := range c.bad {
					bad[i] = true
				}
				var reqs []request
				for i := range c.size {
					payload := "good"
					if bad[i] {
						payload = "bad"
					}
					reqs = append(reqs, idemtest.Request(idem.Key(fmt.Sprint("k", i)), payload))
				}
				for i, d := range r.together(reqs...) {
					what := fmt.Sprintf("request %d", i)
					switch {
					case !bad[i]:
						check(t, what, d, idem.Decided, idem.ByCommit, "good")
					case c.panics:
						check(t, what, d, idem.Retry, 0, "")
						checkFault(t, d.Err)
					default:
						checkRetry(t, what, d, idem.ErrContent)
					}
				}
				if got := r.store.Calls(idemtest.Commit); got > c.most {
					t.Errorf("%d commits, want at most %d", got, c.most)
				}
			})
		})
	}
}

func failOnBad(panics bool) idemtest.Work[string, string] {
	return func(tx *idemtest.Tx[string], req request) (idem.Answer[string], error) {
		switch {
		case req.Payload != "bad":
			return idemtest.Echo(tx, req)
		case panics:
			panic("broken on purpose")
		default:
			return idem.Answer[string]{}, fmt.Errorf("key %q: %w", req.Key, idem.ErrContent)
		}
	}
}

func TestGuard_Process_DoesNotDivideForInfrastructure(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], nil)
		r.deliver("plug", "plug")
		r.store.Break(idemtest.Commit, idemtest.FailAfter(idem.ErrUnavailable))
		got := r.together(idemtest.Request("a", "1"), idemtest.Request("b", "1"),
			idemtest.Request("c", "1"))
		for i, d := range got {
			checkRetry(t, fmt.Sprintf("request %d", i), d, idem.ErrUnavailable)
		}
		if got := r.store.Calls(idemtest.Commit); got != 2 {
			t.Errorf("%d commits, want 2", got)
		}
		r.store.Mend()
		check(t, "redelivery", r.deliver("b", "1"), idem.Duplicate, idem.ByStore, "1")
	})
}

func TestGuard_Process_BatchMax(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], func(o *idem.Options) { o.BatchMax = 2 })
		r.together(idemtest.Request("a", "1"), idemtest.Request("b", "1"),
			idemtest.Request("c", "1"), idemtest.Request("d", "1"), idemtest.Request("e", "1"))
		r.guard.Close()
		var sizes []int
		for _, b := range r.batches {
			sizes = append(sizes, b.Size)
		}
		if got := fmt.Sprint(sizes); got != "[1 2 2 1]" {
			t.Errorf("batches of %s, want [1 2 2 1]", got)
		}
	})
}
