package idem_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

func TestGuard_Process(t *testing.T) {
	t.Parallel()
	r := setup(t, idemtest.Echo[string], nil)
	first := r.deliver("k", "red")
	check(t, "first", first, idem.Decided, idem.ByCommit, "red")
	check(t, "from cache", r.deliver("k", "red"), idem.Duplicate, idem.ByCache, "red")
	r.cache.Flush()
	again := r.deliver("k", "red")
	check(t, "from store", again, idem.Duplicate, idem.ByStore, "red")
	if diff := cmp.Diff(first.Record, again.Record); diff != "" {
		t.Errorf("the first record and the duplicate's (-first +duplicate):\n%s", diff)
	}
	check(t, "cache repaired", r.deliver("k", "red"), idem.Duplicate, idem.ByCache, "red")
	check(t, "other content", r.deliver("k", "blue"), idem.Conflict, idem.ByStore, "red")
	check(t, "other key", r.deliver("K", "blue"), idem.Decided, idem.ByCommit, "blue")
	checkEffects(t, r.store, "k", 1)
}

// A cache may be stale: it holds something that the store does not, or no longer.
func TestGuard_Process_CacheDiffers(t *testing.T) {
	t.Parallel()
	t.Run("StoreHasNothing", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		put(t, r.cache, recordOf("k", "red"))
		check(t, "other content", r.deliver("k", "blue"), idem.Decided, idem.ByCommit, "blue")
		check(t, "cache repaired", r.deliver("k", "blue"), idem.Duplicate, idem.ByCache, "blue")
	})
	t.Run("StoreHasThisContent", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		put(t, r.cache, recordOf("k", "red"))
		r.store.Plant(recordOf("k", "blue"))
		check(t, "as stored", r.deliver("k", "blue"), idem.Duplicate, idem.ByStore, "blue")
		check(t, "as was cached", r.deliver("k", "red"), idem.Conflict, idem.ByStore, "blue")
	})
	t.Run("PartialAnswer", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.deliver("k", "red")
		r.cache.Break(idemtest.Get, idemtest.FailAfter(errBroken))
		check(t, "answer beside an error", r.deliver("k", "red"),
			idem.Duplicate, idem.ByCache, "red")
	})
}

func put(t *testing.T, c *cache, records ...record) {
	t.Helper()
	if err := c.Put(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func TestGuard_Process_UnknownFingerprintVersion(t *testing.T) {
	t.Parallel()
	newer := recordOf("k", "red")
	newer.Fingerprint.Version = 9
	t.Run("InStore", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.store.Plant(newer)
		for _, from := range []string{"store", "cache and store"} {
			if d := r.deliver("k", "red"); d.Verdict != idem.Retry || d.Err == nil {
				t.Errorf("from %s: verdict %d, error %v; want Retry", from, d.Verdict, d.Err)
			}
		}
		checkEffects(t, r.store, "k", 0)
	})
	t.Run("InCacheOnly", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		put(t, r.cache, newer)
		check(t, "decided", r.deliver("k", "red"), idem.Decided, idem.ByCommit, "red")
	})
	t.Run("FunctionIgnoresVersion", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.store.Plant(newer)
		req := idemtest.Request("k", "red")
		known := req.Fingerprint
		req.Fingerprint = func(int) (idem.Fingerprint, bool) {
			return known(idemtest.FingerprintVersion)
		}
		if d := r.guard.Process(t.Context(), req); d.Verdict != idem.Retry {
			t.Errorf("verdict %d, want Retry rather than a guess", d.Verdict)
		}
	})
}

func TestGuard_Process_LostRace(t *testing.T) {
	t.Parallel()
	t.Run("SameContent", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.store.Break(idemtest.Find, r.overtake(recordOf("k", "red")))
		check(t, "loser", r.deliver("k", "red"), idem.Duplicate, idem.ByUnique, "red")
		checkEffects(t, r.store, "k", 0)
		if got := r.lastBatch(); got.Races != 1 || got.Commits != 1 {
			t.Errorf("batch %+v, want one commit that raced", got)
		}
		check(t, "cached", r.deliver("k", "red"), idem.Duplicate, idem.ByCache, "red")
	})
	t.Run("OtherContent", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.store.Break(idemtest.Find, r.overtake(recordOf("k", "red")))
		check(t, "loser", r.deliver("k", "blue"), idem.Conflict, idem.ByUnique, "red")
	})
	t.Run("NeighbourIsDecided", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			r := setup(t, idemtest.Echo[string], nil)
			r.deliver("plug", "plug")
			r.store.Break(idemtest.Find, r.overtake(recordOf("k", "red")))
			got := r.together(idemtest.Request("k", "red"), idemtest.Request("n", "green"))
			check(t, "loser", got[0], idem.Duplicate, idem.ByUnique, "red")
			check(t, "neighbour", got[1], idem.Decided, idem.ByCommit, "green")
			checkEffects(t, r.store, "n", 1)
		})
	})
	t.Run("OneAnswerOfMany", func(t *testing.T) {
		bubble(t, oneAnswerRaced)
	})
	t.Run("ForEver", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], func(o *idem.Options) { o.Rounds = 3 })
		r.store.Break(idemtest.Commit, idemtest.FailBefore(idem.ErrRaced))
		checkRetry(t, "loser", r.deliver("k", "red"), idem.ErrRaced)
		if got := r.store.Calls(idemtest.Commit); got != 3 {
			t.Errorf("%d commits, want 3", got)
		}
	})
	t.Run("FindFailsAfterIt", func(t *testing.T) {
		t.Parallel()
		r := setup(t, idemtest.Echo[string], nil)
		r.store.Break(idemtest.Commit, func(context.Context, func() error) error {
			r.store.Break(idemtest.Find, idemtest.FailBefore(errBroken))
			return idem.ErrRaced
		})
		checkRetry(t, "loser", r.deliver("k", "red"), errBroken)
	})
}

// overtake stores a record between step 2 and step 3.
func (r *rig) overtake(rec record) idemtest.Fault {
	return idemtest.Times(1, func(_ context.Context, do func() error) error {
		err := do()
		r.store.Plant(rec)
		return err
	})
}

// oneAnswerRaced has a store that tells of the race in the answer and commits the others.
func oneAnswerRaced(t *testing.T) {
	raced := false
	r := setup(t, func(tx *idemtest.Tx[string], req request) (idem.Answer[string], error) {
		if req.Key == "k" && !raced {
			raced = true
			return idem.Answer[string]{Verdict: idem.Retry, Err: idem.ErrRaced}, nil
		}
		return idemtest.Echo(tx, req)
	}, nil)
	got := r.together(idemtest.Request("k", "red"), idemtest.Request("n", "green"))
	check(t, "raced", got[0], idem.Decided, idem.ByCommit, "red")
	check(t, "neighbour", got[1], idem.Decided, idem.ByCommit, "green")
	checkEffects(t, r.store, "k", 1)
	checkEffects(t, r.store, "n", 1)
}

// badAnswers are what no store should say; nothing of it may be taken for a decision.
func TestGuard_Process_BadAnswers(t *testing.T) {
	t.Parallel()
	decided := idem.Answer[string]{Verdict: idem.Decided, Record: recordOf("k", "red")}
	for name, answers := range map[string][]idem.Answer[string]{
		"None":               nil,
		"TooMany":            {decided, decided},
		"NoVerdict":          {{Record: recordOf("k", "red")}},
		"UnknownVerdict":     {{Verdict: 99, Record: recordOf("k", "red")}},
		"RetryWithoutReason": {{Verdict: idem.Retry}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, idemtest.Echo[string], nil)
			bad := &badStore{store: r.store,
				commit: func([]request) ([]idem.Answer[string], error) { return answers, nil }}
			guard := idem.New(bad, r.cache, idem.Options{})
			defer guard.Close()
			check(t, "answer", guard.Process(t.Context(), idemtest.Request("k", "red")),
				idem.Retry, 0, "")
			if got := r.cache.Records(); len(got) != 0 {
				t.Errorf("the cache holds %v", got)
			}
		})
	}
}

func TestGuard_Process_ContextEndsWhileWaiting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], nil)
		entered, release := make(chan struct{}), make(chan struct{})
		r.cache.Break(idemtest.Get, idemtest.Times(1, idemtest.Stall(entered, release)))
		var wg sync.WaitGroup
		wg.Go(func() { r.deliver("plug", "plug") })
		<-entered
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			got := r.guard.Process(ctx, idemtest.Request("k", "red"))
			checkRetry(t, "given up", got, context.Canceled)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		wg.Wait()
		r.guard.Close()
		checkEffects(t, r.store, "k", 0)
		checkEffects(t, r.store, "plug", 1)
	})
}

func TestGuard_Process_ContextEndsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], nil)
		entered, release := make(chan struct{}), make(chan struct{})
		r.store.Break(idemtest.Commit, idemtest.Times(1, idemtest.Stall(entered, release)))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			got := r.guard.Process(ctx, idemtest.Request("k", "red"))
			checkRetry(t, "given up", got, context.Canceled)
		})
		<-entered
		cancel()
		wg.Wait()
		close(release) // a batch belongs to many callers: this one goes on without the first
		check(t, "redelivery", r.deliver("k", "red"), idem.Duplicate, idem.ByCache, "red")
		checkEffects(t, r.store, "k", 1)
	})
}

func TestGuard_Process_Timeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], func(o *idem.Options) { o.Timeout = time.Minute })
		never := make(chan struct{})
		r.store.Break(idemtest.Commit, idemtest.Stall(make(chan struct{}, 1), never))
		start := time.Now()
		checkRetry(t, "hanging commit", r.deliver("k", "red"), context.DeadlineExceeded)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("the batch took %v, want 1m", got)
		}
	})
}

func TestGuard_Process_Steps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], nil)
		for n, step := range []idemtest.Step{
			idemtest.Get, idemtest.Find, idemtest.Commit, idemtest.Put,
		} {
			slow := func(_ context.Context, do func() error) error {
				time.Sleep(time.Duration(n+1) * time.Second)
				return do()
			}
			r.cache.Break(step, slow)
			r.store.Break(step, slow)
		}
		decisions := make([]decision, 2)
		var wg sync.WaitGroup
		wg.Go(func() { decisions[0] = r.deliver("a", "red") })
		synctest.Wait()
		wg.Go(func() { decisions[1] = r.deliver("b", "red") })
		wg.Wait()
		steps := idem.Steps{
			Cache: time.Second, Find: 2 * time.Second,
			Commit: 3 * time.Second, Put: 4 * time.Second,
		}
		if diff := cmp.Diff(steps, decisions[0].Steps); diff != "" {
			t.Errorf("steps of the first (-want +got):\n%s", diff)
		}
		steps.Wait = 10 * time.Second
		if diff := cmp.Diff(steps, decisions[1].Steps); diff != "" {
			t.Errorf("steps of the second (-want +got):\n%s", diff)
		}
	})
}

func TestGuard_Close(t *testing.T) {
	t.Parallel()
	r := setup(t, idemtest.Echo[string], func(o *idem.Options) { o.Waiting = 4; o.BatchMax = 3 })
	const deliveries = 300
	var tally idemtest.Tally[string]
	var wg sync.WaitGroup
	started := make(chan struct{}, deliveries)
	for n := range deliveries {
		wg.Go(func() {
			started <- struct{}{}
			key := idem.Key(rune('a' + n%26))
			tally.Add(key, 0, r.deliver(key, "red"))
		})
	}
	for range deliveries / 3 {
		<-started
	}
	r.guard.Close()
	wg.Wait()
	tally.Check(t, func(a, b string) bool { return a == b })
	for n := range 26 {
		key := idem.Key(rune('a' + n))
		got := tally.Of(key)
		if done := r.store.Effects(key); done > 1 || done != got.Decided {
			t.Errorf("key %q: done %d times, answers %+v", key, done, got)
		}
	}
	checkRetry(t, "after Close", r.deliver("late", "red"), idem.ErrClosed)
	r.guard.Close() // a second one does nothing
}

func TestGuard_New_Defaults(t *testing.T) {
	t.Parallel()
	guard := idem.New(
		idem.Store[string, string](idemtest.NewStore(idemtest.Echo[string])),
		idem.Cache[string](idemtest.NewCache[string]()), idem.Options{},
	)
	defer guard.Close()
	got := guard.Process(t.Context(), idemtest.Request("k", "red"))
	check(t, "with zero options", got, idem.Decided, idem.ByCommit, "red")
	if errors.Is(got.Err, idem.ErrClosed) {
		t.Error("closed from the start")
	}
}
