package idem_test

import (
	"errors"
	"testing"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// TestGuard_Process_FaultMatrix breaks each step in each way, looks at the answer, mends, and
// delivers again: whatever happened, the work is done once and everybody gets its answer.
func TestGuard_Process_FaultMatrix(t *testing.T) {
	t.Parallel()
	faults := map[string]idemtest.Fault{
		"Failed":            idemtest.FailBefore(errBroken),
		"FailedButDone":     idemtest.FailAfter(errBroken),
		"Panicked":          idemtest.PanicBefore("broken on purpose"),
		"PanickedAfterDone": idemtest.PanicAfter("broken on purpose"),
	}
	for _, c := range []struct {
		step  idemtest.Step
		fault string
		first idem.Verdict // and after it:
		done  int          // effects
		again idem.Verdict // of the second delivery, after mending
		by    idem.Source
	}{
		{idemtest.Get, "Failed", idem.Decided, 1, idem.Duplicate, idem.ByCache},
		{idemtest.Get, "FailedButDone", idem.Decided, 1, idem.Duplicate, idem.ByCache},
		{idemtest.Get, "Panicked", idem.Decided, 1, idem.Duplicate, idem.ByCache},
		{idemtest.Get, "PanickedAfterDone", idem.Decided, 1, idem.Duplicate, idem.ByCache},
		{idemtest.Find, "Failed", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Find, "FailedButDone", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Find, "Panicked", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Find, "PanickedAfterDone", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Commit, "Failed", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Commit, "FailedButDone", idem.Retry, 1, idem.Duplicate, idem.ByStore},
		{idemtest.Commit, "Panicked", idem.Retry, 0, idem.Decided, idem.ByCommit},
		{idemtest.Commit, "PanickedAfterDone", idem.Retry, 1, idem.Duplicate, idem.ByStore},
		{idemtest.Put, "Failed", idem.Decided, 1, idem.Duplicate, idem.ByStore},
		{idemtest.Put, "FailedButDone", idem.Decided, 1, idem.Duplicate, idem.ByCache},
		{idemtest.Put, "Panicked", idem.Decided, 1, idem.Duplicate, idem.ByStore},
		{idemtest.Put, "PanickedAfterDone", idem.Decided, 1, idem.Duplicate, idem.ByCache},
	} {
		t.Run(string(c.step)+"/"+c.fault, func(t *testing.T) {
			t.Parallel()
			r := setup(t, idemtest.Echo[string], nil)
			r.cache.Break(c.step, faults[c.fault])
			r.store.Break(c.step, faults[c.fault])

			got := r.deliver("k", "red")
			if c.first == idem.Retry {
				check(t, "first delivery", got, idem.Retry, 0, "")
				checkFault(t, got.Err)
			} else {
				check(t, "first delivery", got, idem.Decided, idem.ByCommit, "red")
				checkFault(t, r.lastBatch().CacheErr)
			}
			checkEffects(t, r.store, "k", c.done)

			r.cache.Mend()
			r.store.Mend()
			check(t, "redelivery", r.deliver("k", "red"), c.again, c.by, "red")
			check(t, "other content", r.deliver("k", "blue"), idem.Conflict, idem.ByStore, "red")
			check(t, "third delivery", r.deliver("k", "red"), idem.Duplicate, idem.ByCache, "red")
			checkEffects(t, r.store, "k", 1)
		})
	}
}

func checkFault(t *testing.T, err error) {
	t.Helper()
	var panicked *idem.PanicError
	if !errors.Is(err, errBroken) && !errors.As(err, &panicked) {
		t.Errorf("the reason is %v, want the fault", err)
	}
	if panicked != nil && (panicked.Value != "broken on purpose" || len(panicked.Stack) == 0) {
		t.Errorf("the panic is told as %q with %d bytes of stack",
			panicked.Value, len(panicked.Stack))
	}
}

// TestGuard_Process_PanicAnswersEveryone panics where nothing can be isolated.
func TestGuard_Process_PanicAnswersEveryone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := setup(t, idemtest.Echo[string], nil)
		r.deliver("plug", "plug") // so that the plug is answered by the cache
		r.store.Break(idemtest.Find, idemtest.PanicBefore("broken on purpose"))
		got := r.together(idemtest.Request("a", "1"), idemtest.Request("b", "1"),
			idemtest.Request("a", "2"))
		for i, d := range got {
			var panicked *idem.PanicError
			if d.Verdict != idem.Retry || !errors.As(d.Err, &panicked) {
				t.Errorf("request %d: verdict %d, error %v; want Retry and the panic",
					i, d.Verdict, d.Err)
			}
		}
		r.store.Mend()
		check(t, "afterwards", r.deliver("a", "1"), idem.Decided, idem.ByCommit, "1")
	})
}

// TestGuard_Process_CacheIsNeverAhead looks at the store whenever the cache is written.
func TestGuard_Process_CacheIsNeverAhead(t *testing.T) {
	t.Parallel()
	r := setup(t, idemtest.Echo[string], nil)
	spy := &spyCache{Cache: r.cache, put: func(records []record) {
		held := r.store.Records()
		for _, rec := range records {
			if held[rec.Key] != rec {
				t.Errorf("the cache is given %+v, the store has %+v", rec, held[rec.Key])
			}
		}
	}}
	guard := idem.New(r.store, spy, idem.Options{})
	defer guard.Close()
	for _, fault := range []idemtest.Fault{
		idemtest.FailBefore(errBroken), idemtest.FailAfter(errBroken),
	} {
		r.store.Break(idemtest.Commit, idemtest.Times(1, fault))
		for _, payload := range []string{"red", "red", "blue", "red"} {
			guard.Process(t.Context(), idemtest.Request("k", payload))
		}
	}
	if spy.puts == 0 {
		t.Error("the cache was never written")
	}
}
