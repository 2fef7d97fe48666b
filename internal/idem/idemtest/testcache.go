package idemtest

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"example.com/payment/internal/idem"
)

// CacheHarness tells TestCache how to reach a cache.
type CacheHarness[R any] struct {
	// Open returns a cache that works, holds nothing, and is shared with no other test.
	Open func(t *testing.T) idem.Cache[R]
	// Answer makes an answer; another n makes another answer.
	Answer func(n int) R
	// Equal compares answers; the default is reflect.DeepEqual.
	Equal func(a, b R) bool
}

// TestCache checks of a cache that works what idem.Guard relies on: what it returns is what was
// put there last, under exactly that key, and nothing else. How a cache fails is not checked
// here; that it fails rather than returns something wrong is the adapter's to test.
func TestCache[R any](t *testing.T, h CacheHarness[R]) {
	t.Helper()
	if h.Equal == nil {
		h.Equal = func(a, b R) bool { return reflect.DeepEqual(a, b) }
	}
	for name, run := range map[string]func(*testing.T, CacheHarness[R]){
		"MissIsNoError":     cacheMiss[R],
		"ReturnsWhatWasPut": cacheRoundTrip[R],
		"LastPutWins":       cacheOverwrite[R],
		"KeysAreBytes":      cacheKeys[R],
		"ManyAtOnce":        cacheMany[R],
		"CancelledContext":  cacheCancelled[R],
		"Concurrent":        cacheConcurrent[R],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, h)
		})
	}
}

// record makes the n-th record of a key, to the microsecond that databases keep.
func (h CacheHarness[R]) record(key idem.Key, n int) idem.Record[R] {
	r := idem.Record[R]{
		Key:         key,
		Fingerprint: idem.Fingerprint{Version: 1 + n%3},
		Answer:      h.Answer(n),
		DecidedAt:   time.Date(2024, 2, 29, 23, 59, 59, (n+1)*1000, time.UTC),
	}
	for i := range r.Fingerprint.Sum {
		r.Fingerprint.Sum[i] = byte(i*7 + n)
	}
	return r
}

func (h CacheHarness[R]) put(t *testing.T, c idem.Cache[R], records ...idem.Record[R]) {
	t.Helper()
	if err := c.Put(t.Context(), records); err != nil {
		t.Fatalf("Put of %d records: %v", len(records), err)
	}
}

// expect gets keys and wants exactly these records.
func (h CacheHarness[R]) expect(
	t *testing.T, c idem.Cache[R], keys []idem.Key, want ...idem.Record[R],
) {
	t.Helper()
	got, err := c.Get(t.Context(), keys)
	if err != nil {
		t.Fatalf("Get of %d keys: %v", len(keys), err)
	}
	if len(got) != len(want) {
		t.Errorf("Get of %d keys returned %d records, want %d", len(keys), len(got), len(want))
	}
	for _, w := range want {
		g, ok := got[w.Key]
		if !ok {
			t.Errorf("Get returned nothing under %q", w.Key)
			continue
		}
		expectRecord(t, g, w, h.Equal)
	}
}

func expectRecord[R any](t *testing.T, got, want idem.Record[R], equal func(a, b R) bool) {
	t.Helper()
	if got.Key != want.Key || got.Fingerprint != want.Fingerprint ||
		!got.DecidedAt.Equal(want.DecidedAt) || !equal(got.Answer, want.Answer) {
		t.Errorf("record of key %q:\n got %+v\nwant %+v", want.Key, got, want)
	}
}

func cacheMiss[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	h.expect(t, c, []idem.Key{"miss-1", "miss-2"})
}

func cacheRoundTrip[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	a, b := h.record("trip-a", 1), h.record("trip-b", 2)
	h.put(t, c, a, b)
	h.expect(t, c, []idem.Key{"trip-b", "trip-none", "trip-a"}, a, b)
	h.expect(t, c, []idem.Key{"trip-b"}, b)
}

func cacheOverwrite[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	h.put(t, c, h.record("again", 1))
	last := h.record("again", 2)
	h.put(t, c, last)
	h.expect(t, c, []idem.Key{"again"}, last)
}

func cacheKeys[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	keys := lookalikes()
	var records []idem.Record[R]
	for n, key := range keys {
		h.expect(t, c, []idem.Key{key}) // not there because of those that look like it
		records = append(records, h.record(key, n))
		h.put(t, c, records[n])
	}
	h.expect(t, c, keys, records...)
}

// lookalikes are keys that are different, and that a careless comparison takes for one another.
func lookalikes() []idem.Key {
	long := idem.Key("k23456789012345678901234567890123456789012345678901234567890123")
	return []idem.Key{
		"key-1", "KEY-1", "Key-1", "key_1", "key-10", "key-01", "key-1.", "key-1:1", "key:1",
		"1", "01", "1.0", long + "a", long + "b",
	}
}

func cacheMany[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	var keys []idem.Key
	var records []idem.Record[R]
	for n := range 400 {
		keys = append(keys, idem.Key(fmt.Sprintf("many-%d", n)))
		records = append(records, h.record(keys[n], n))
	}
	h.put(t, c, records...)
	h.expect(t, c, keys, records...)
}

func cacheCancelled[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	kept := h.record("kept", 1)
	h.put(t, c, kept)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := c.Get(ctx, []idem.Key{"kept"})
	if record, ok := got["kept"]; ok {
		expectRecord(t, record, kept, h.Equal)
	} else if err == nil {
		t.Error("Get with a cancelled context: neither a record nor an error")
	}
	// Put may succeed or fail; the cache goes on working, and holds one of the two.
	_ = c.Put(ctx, []idem.Record[R]{kept})
	h.expect(t, c, []idem.Key{"kept"}, kept)
}

func cacheConcurrent[R any](t *testing.T, h CacheHarness[R]) {
	c := h.Open(t)
	keys := []idem.Key{"busy-0", "busy-1", "busy-2"}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 20 {
				key := keys[(g+n)%len(keys)]
				if err := c.Put(t.Context(), []idem.Record[R]{h.record(key, n)}); err != nil {
					t.Errorf("Put: %v", err)
				}
				got, err := c.Get(t.Context(), keys)
				if err != nil {
					t.Errorf("Get: %v", err)
				}
				for k, record := range got {
					n := record.DecidedAt.Nanosecond()/1000 - 1
					expectRecord(t, record, h.record(k, n), h.Equal) // whole, never mixed
				}
			}
		})
	}
	wg.Wait()
}
