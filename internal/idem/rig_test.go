package idem_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken on purpose")

type (
	cache    = idemtest.Cache[string]
	store    = idemtest.Store[string, string]
	decision = idem.Decision[string]
	request  = idem.Request[string]
	record   = idem.Record[string]
)

// rig is a guard with one committer over fakes.
type rig struct {
	t     *testing.T
	cache *cache
	store *store
	guard *idem.Guard[string, string]

	mu      sync.Mutex
	batches []idem.Batch
}

func setup(
	t *testing.T, work idemtest.Work[string, string], change func(*idem.Options),
) *rig {
	t.Helper()
	r := &rig{t: t, cache: idemtest.NewCache[string](), store: idemtest.NewStore(work)}
	opts := idem.Options{Committers: 1, Observe: r.observe}
	if change != nil {
		change(&opts)
	}
	r.guard = idem.New(r.store, r.cache, opts)
	t.Cleanup(r.guard.Close)
	return r
}

func (r *rig) observe(b idem.Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, b)
}

// lastBatch is the report of the newest batch.
func (r *rig) lastBatch() idem.Batch {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.batches) == 0 {
		r.t.Fatal("no batch was reported")
	}
	return r.batches[len(r.batches)-1]
}

func (r *rig) deliver(key idem.Key, payload string) decision {
	return r.guard.Process(r.t.Context(), idemtest.Request(key, payload))
}

// together delivers requests so that they make one batch, in this order. It needs a bubble of
// synctest, and puts its own fault on the cache's Get while the batch gathers.
func (r *rig) together(reqs ...request) []decision {
	r.t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	r.cache.Break(idemtest.Get, idemtest.Times(1, idemtest.Stall(entered, release)))
	var wg sync.WaitGroup
	wg.Go(func() { r.deliver("plug", "plug") })
	<-entered
	decisions := make([]decision, len(reqs))
	for i, req := range reqs {
		wg.Go(func() { decisions[i] = r.guard.Process(context.Background(), req) })
		synctest.Wait()
	}
	if got := r.guard.Waiting(); got != len(reqs) {
		r.t.Fatalf("%d requests wait for the committer, want %d", got, len(reqs))
	}
	close(release)
	wg.Wait()
	return decisions
}

func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// check compares what matters of a decision.
func check(
	t *testing.T, what string, got decision, verdict idem.Verdict, by idem.Source, answer string,
) {
	t.Helper()
	if got.Verdict != verdict || got.By != by || got.Record.Answer != answer {
		t.Errorf("%s: verdict %d by %d with answer %q (err %v); want %d by %d with %q",
			what, got.Verdict, got.By, got.Record.Answer, got.Err, verdict, by, answer)
	}
	if (got.Err != nil) != (verdict == idem.Retry) {
		t.Errorf("%s: verdict %d with error %v", what, got.Verdict, got.Err)
	}
}

func checkRetry(t *testing.T, what string, got decision, reason error) {
	t.Helper()
	check(t, what, got, idem.Retry, 0, "")
	if !errors.Is(got.Err, reason) {
		t.Errorf("%s: error %v, want %v", what, got.Err, reason)
	}
}

func checkEffects(t *testing.T, s *store, key idem.Key, want int) {
	t.Helper()
	if got := s.Effects(key); got != want {
		t.Errorf("the work of key %q was done %d times, want %d", key, got, want)
	}
}

// recordOf is what a store or cache keeps of a request that was answered with its payload.
func recordOf(key idem.Key, payload string) record {
	sum, _ := idemtest.Request(key, payload).Fingerprint(idemtest.FingerprintVersion)
	return record{Key: key, Fingerprint: sum, Answer: payload}
}
