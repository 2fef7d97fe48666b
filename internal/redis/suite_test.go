package redis

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

func TestCache_Conformance(t *testing.T) {
	t.Parallel()
	idemtest.TestCache(t, idemtest.CacheHarness[answer]{
		Open: func(t *testing.T) idem.Cache[answer] {
			cfg, _ := realServer(t)
			return newCache(t, cfg)
		},
		Answer: func(n int) answer { return answer{Status: "paid", Reason: strconv.Itoa(n)} },
	})
}

func TestCache_NothingAsked(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	cache := newCache(t, cfg)
	expect(t, cache, nil)
	store(t, cache)
}

func TestCache_SameKeyTwiceInOneCall(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	cache := newCache(t, cfg)
	store(t, cache, record("a", "1"), record("a", "1"))
	expect(t, cache, []idem.Record[answer]{record("a", "1")}, "a", "a")
}

func TestCache_MoreThanOnePipeline(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	cache := newCache(t, cfg)
	var want []idem.Record[answer]
	var keys []idem.Key
	for i := range 2*maxPipeline + 1 {
		key := "key-" + strconv.Itoa(i)
		want = append(want, record(key, key))
		keys = append(keys, idem.Key(key))
	}
	store(t, cache, want...)
	expect(t, cache, want, keys...)
}

func store(t *testing.T, cache idem.Cache[answer], records ...idem.Record[answer]) {
	t.Helper()
	if err := cache.Put(t.Context(), records); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func expect(
	t *testing.T, cache idem.Cache[answer], records []idem.Record[answer], keys ...idem.Key,
) {
	t.Helper()
	want := map[idem.Key]idem.Record[answer]{}
	for _, r := range records {
		want[r.Key] = r
	}
	got, err := cache.Get(t.Context(), keys)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("get (-want +got):\n%s", diff)
	}
}
