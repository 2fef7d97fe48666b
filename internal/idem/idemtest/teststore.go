package idemtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"example.com/payment/internal/idem"
)

// StoreHarness tells TestStore how to reach a store and how to look behind it.
type StoreHarness[T, R any] struct {
	// Open returns a store that works, holds no records, and is shared with no other test.
	Open func(t *testing.T) idem.Store[T, R]
	// Request makes a request under a key that the store carries out. The same content asks
	// for the same thing and has the same fingerprint; requests under different keys do not get
	// in each other's way. Keys match [A-Za-z0-9][A-Za-z0-9_.:-]{0,63}.
	Request func(key idem.Key, content int) idem.Request[T]
	// Effects counts in the world, not in the records, how often the work of a key was done.
	Effects func(t *testing.T, store idem.Store[T, R], key idem.Key) int
	// Bad, if set, makes a request that the store cannot hold, so that Commit fails with
	// ErrContent.
	Bad func(key idem.Key) idem.Request[T]
	// Equal compares answers; the default is reflect.DeepEqual.
	Equal func(a, b R) bool
}

// TestStore checks of a store that works what idem.Guard relies on: work and key are committed
// together or not at all, a key is committed once, whoever comes later is told ErrRaced, and
// what Commit answers is what Find returns ever after.
func TestStore[T, R any](t *testing.T, h StoreHarness[T, R]) {
	t.Helper()
	if h.Equal == nil {
		h.Equal = func(a, b R) bool { return reflect.DeepEqual(a, b) }
	}
	for name, run := range map[string]func(*testing.T, StoreHarness[T, R]){
		"FindMissesWithoutError": storeMiss[T, R],
		"CommitDecides":          storeCommit[T, R],
		"KeyIsUnique":            storeUnique[T, R],
		"AllOrNothing":           storeAllOrNothing[T, R],
		"KeysAreBytes":           storeKeys[T, R],
		"ManyAtOnce":             storeMany[T, R],
		"CancelledContext":       storeCancelled[T, R],
		"BadContent":             storeBad[T, R],
		"RaceForOneKey":          storeRace[T, R],
		"CrossedBatches":         storeCrossed[T, R],
		"BehindTwoGuards":        storeGuards[T, R],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, h)
		})
	}
}

// decide commits requests that nobody has decided, and returns their records.
func (h StoreHarness[T, R]) decide(
	t *testing.T, s idem.Store[T, R], reqs ...idem.Request[T],
) []idem.Record[R] {
	t.Helper()
	answers, err := s.Commit(t.Context(), reqs)
	if err != nil {
		t.Fatalf("Commit of %d new keys: %v", len(reqs), err)
	}
	if len(answers) != len(reqs) {
		t.Fatalf("Commit of %d requests: %d answers", len(reqs), len(answers))
	}
	records := make([]idem.Record[R], len(reqs))
	for i, a := range answers {
		if a.Verdict != idem.Decided || a.Record.Key != reqs[i].Key {
			t.Fatalf("answer %d of %d, key %q: verdict %d, key %q, err %v; want Decided",
				i, len(reqs), reqs[i].Key, a.Verdict, a.Record.Key, a.Err)
		}
		sum, ok := reqs[i].Fingerprint(a.Record.Fingerprint.Version)
		if !ok || sum != a.Record.Fingerprint {
			t.Errorf("key %q: the record's fingerprint is not the request's", reqs[i].Key)
		}
		if a.Record.DecidedAt.IsZero() {
			t.Errorf("key %q: the record has no time", reqs[i].Key)
		}
		records[i] = a.Record
	}
	return records
}

// expect finds keys and wants exactly these records.
func (h StoreHarness[T, R]) expect(
	t *testing.T, s idem.Store[T, R], keys []idem.Key, want ...idem.Record[R],
) {
	t.Helper()
	got, err := s.Find(t.Context(), keys)
	if err != nil {
		t.Fatalf("Find of %d keys: %v", len(keys), err)
	}
	if len(got) != len(want) {
		t.Errorf("Find of %d keys returned %d records, want %d", len(keys), len(got), len(want))
	}
	for _, w := range want {
		g, ok := got[w.Key]
		if !ok {
			t.Errorf("Find returned nothing under %q", w.Key)
			continue
		}
		expectRecord(t, g, w, h.Equal)
	}
}

func (h StoreHarness[T, R]) expectEffects(
	t *testing.T, s idem.Store[T, R], key idem.Key, want int,
) {
	t.Helper()
	if got := h.Effects(t, s, key); got != want {
		t.Errorf("the work of key %q was done %d times, want %d", key, got, want)
	}
}

// refused returns the error that a Commit has for the request at index i, from the call or from
// the answer, and nil if the request was answered.
func refused[R any](answers []idem.Answer[R], err error, i int) error {
	if err != nil {
		return err
	}
	if answers[i].Verdict == idem.Retry {
		return answers[i].Err
	}
	return nil
}

func storeMiss[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	h.expect(t, s, []idem.Key{"miss-1", "miss-2"})
}

func storeCommit[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	keys := []idem.Key{"new-3", "new-1", "new-2"}
	records := h.decide(t, s,
		h.Request(keys[0], 3), h.Request(keys[1], 1), h.Request(keys[2], 2))
	h.expect(t, s, keys, records...)
	h.expect(t, s, []idem.Key{"new-4", "new-1"}, records[1])
	for _, key := range keys {
		h.expectEffects(t, s, key, 1)
	}
}

func storeUnique[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	first := h.decide(t, s, h.Request("once", 1))
	for _, content := range []int{1, 2} {
		answers, err := s.Commit(t.Context(), []idem.Request[T]{h.Request("once", content)})
		if err := refused(answers, err, 0); !errors.Is(err, idem.ErrRaced) {
			t.Errorf("second Commit of a key, content %d: %v, want ErrRaced", content, err)
		}
	}
	h.expect(t, s, []idem.Key{"once"}, first...)
	h.expectEffects(t, s, "once", 1)
}

func storeAllOrNothing[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	h.decide(t, s, h.Request("taken", 1))
	reqs := []idem.Request[T]{
		h.Request("free-1", 1), h.Request("taken", 1), h.Request("free-2", 1),
	}
	answers, err := s.Commit(t.Context(), reqs)
	if err := refused(answers, err, 1); !errors.Is(err, idem.ErrRaced) {
		t.Fatalf("Commit with a taken key: %v, want ErrRaced", err)
	}
	h.expectEffects(t, s, "taken", 1)
	for _, i := range []int{0, 2} {
		key := reqs[i].Key
		if refused(answers, err, i) == nil {
			h.expect(t, s, []idem.Key{key}, answers[i].Record)
			h.expectEffects(t, s, key, 1)
			continue
		}
		h.expect(t, s, []idem.Key{key})
		h.expectEffects(t, s, key, 0)
		h.decide(t, s, h.Request(key, 2)) // nothing was left that stands in the way
	}
}

func storeKeys[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	keys := lookalikes()
	var records []idem.Record[R]
	for n, key := range keys {
		h.expect(t, s, []idem.Key{key})
		records = append(records, h.decide(t, s, h.Request(key, n))...)
	}
	h.expect(t, s, keys, records...)
}

func storeMany[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	var keys []idem.Key
	var reqs []idem.Request[T]
	for n := range 400 {
		keys = append(keys, idem.Key(fmt.Sprintf("many-%d", n)))
		reqs = append(reqs, h.Request(keys[n], n))
	}
	h.expect(t, s, keys, h.decide(t, s, reqs...)...)
}

func storeCancelled[T, R any](t *testing.T, h StoreHarness[T, R]) {
	s := h.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Find(ctx, []idem.Key{"late"}); err == nil {
		t.Error("Find with a cancelled context: no error")
	}
	answers, err := s.Commit(ctx, []idem.Request[T]{h.Request("late", 1)})
	if refused(answers, err, 0) == nil {
		t.Error("Commit with a cancelled context: no error")
	}
	// The error says nothing of what was stored. The next Commit does.
	answers, err = s.Commit(t.Context(), []idem.Request[T]{h.Request("late", 1)})
	if err := refused(answers, err, 0); err != nil && !errors.Is(err, idem.ErrRaced) {
		t.Errorf("Commit after a cancelled one: %v, want an answer or ErrRaced", err)
	}
	h.expectEffects(t, s, "late", 1)
}

func storeBad[T, R any](t *testing.T, h StoreHarness[T, R]) {
	if h.Bad == nil {
		t.Skip("this store has no request that it cannot hold")
	}
	s := h.Open(t)
	for name, reqs := range map[string][]idem.Request[T]{
		"alone": {h.Bad("bad")}, "last": {h.Request("good", 1), h.Bad("bad")},
	} {
		if _, err := s.Commit(t.Context(), reqs); !errors.Is(err, idem.ErrContent) {
			t.Errorf("Commit of a bad request, %s: %v, want ErrContent", name, err)
		}
	}
	h.expect(t, s, []idem.Key{"good", "bad"})
	h.expectEffects(t, s, "good", 0)
	h.decide(t, s, h.Request("good", 1))
}
