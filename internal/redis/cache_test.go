package redis

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestNew_Refuses(t *testing.T) {
	t.Parallel()
	good := Config{Address: "127.0.0.1:1", KeyPrefix: "p:", Keys: ring(t, "k1")}
	for name, change := range map[string]func(*Config){
		"address is empty":   func(c *Config) { c.Address = "" },
		"prefix is empty":    func(c *Config) { c.KeyPrefix = "" },
		"no key":             func(c *Config) { c.Keys = Keyring{} },
		"expiry":             func(c *Config) { c.Expiry = time.Millisecond },
		"jitter -1s":         func(c *Config) { c.ExpiryJitter = -time.Second },
		"timeout":            func(c *Config) { c.Timeout = -1 },
		"database -1":        func(c *Config) { c.DB = -1 },
		"breaker pause -1ns": func(c *Config) { c.Pause = -1 },
	} {
		cfg := good
		change(&cfg)
		_, err := New[answer](cfg, fixedEpoch("e"), zap.NewNop())
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error = %v, want %q", err, name)
		}
	}
	if _, err := New[answer](good, nil, zap.NewNop()); err == nil {
		t.Error("New accepts no source for the epoch")
	}
}

func TestCache_EveryValueExpires(t *testing.T) {
	t.Parallel()
	cfg, raw := realServer(t)
	cfg.Expiry, cfg.ExpiryJitter = time.Hour, time.Hour
	cache := newCache(t, cfg)
	var records []idem.Record[answer]
	for i := range 50 {
		records = append(records, record("key-"+string(rune('A'+i)), "x"))
	}
	store(t, cache, records...)
	distinct := map[time.Duration]bool{}
	for _, r := range records {
		ttl := raw.PTTL(t.Context(), cache.name(r.Key)).Val()
		// The lower bound leaves room for a machine that stood still for half an hour.
		if ttl < 30*time.Minute || ttl > 2*time.Hour {
			t.Errorf("the value of %q lives for %s", r.Key, ttl)
		}
		distinct[ttl.Round(time.Minute)] = true
	}
	if len(distinct) < 3 {
		t.Errorf("values that were written together expire together: %v", distinct)
	}
}

// plant is a command that puts something under a key, and what Inspect must say of it.
type plant struct {
	command []any // the name of the key is put in second place
	problem problem
}

// plants are what a forger, a bug or another program might put under the key PAY_1.
func plants(t *testing.T) map[string]plant {
	t.Helper()
	value := func(keys Keyring, epoch, key string) string {
		v, err := seal(keys, epoch, record(key, "paid"))
		if err != nil {
			t.Fatal(err)
		}
		return string(v)
	}
	mine, other := ring(t, "k1"), ring(t, "k2")
	good := value(mine, "epoch-1", "PAY_1")
	return map[string]plant{
		"forged without the key":  {[]any{"set", value(other, "epoch-1", "PAY_1")}, unknownKey},
		"signed in another epoch": {[]any{"set", value(mine, "epoch-0", "PAY_1")}, otherEpoch},
		"copied from another key": {[]any{"set", value(mine, "epoch-1", "PAY_2")}, forged},
		"cut short":               {[]any{"set", good[:len(good)-1]}, malformed},
		"plain text":              {[]any{"set", "paid"}, malformed},
		"a number":                {[]any{"incr"}, malformed},
		"megabytes":               {[]any{"set", strings.Repeat("x", 5<<20)}, oversized},
		"a list":                  {[]any{"rpush", "paid"}, notString},
		"a hash":                  {[]any{"hset", "status", "paid"}, notString},
	}
}

// TestCache_Unbelievable reads each plant beside one good value that must still be found.
func TestCache_Unbelievable(t *testing.T) {
	t.Parallel()
	for name, test := range plants(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, raw := realServer(t)
			var counts counter
			cfg.Hooks = counts.hooks()
			cache := newCache(t, cfg)
			store(t, cache, record("good", "1"))
			command := slices.Insert(test.command, 1, any(cache.name("PAY_1")))
			if err := raw.Do(t.Context(), command...).Err(); err != nil {
				t.Fatal(err)
			}
			// More often than it takes to trip the breaker, in both orders.
			for range tripInARow + 1 {
				expect(t, cache, []idem.Record[answer]{record("good", "1")}, "PAY_1", "good")
				expect(t, cache, []idem.Record[answer]{record("good", "1")}, "good", "PAY_1")
			}
			n := 2 * (tripInARow + 1)
			lookups, _, changes := counts.snapshot()
			want := map[Result]int{Hit: n, Stale: n}
			if diff := cmp.Diff(want, lookups); diff != "" || len(changes) != 0 {
				t.Errorf("counted (-want +got):\n%s\nbreaker %v", diff, changes)
			}
			found, err := cache.Inspect(t.Context(), "PAY_1")
			if err != nil || found.Verified || !found.Present || found.Expires ||
				found.Problem != string(test.problem) || found.Outdated != (test.problem == otherEpoch) {
				t.Errorf("inspect = %+v, %v; want problem %q", found, err, test.problem)
			}
			// The next write mends the key, whatever was there.
			store(t, cache, record("PAY_1", "1"))
			expect(t, cache, []idem.Record[answer]{record("PAY_1", "1")}, "PAY_1")
		})
	}
}

func TestCache_EpochReplaced(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	var epoch atomic.Pointer[string]
	set := func(name string) { epoch.Store(&name) }
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := open1(t, cfg, func() (string, bool) {
		name := epoch.Load()
		if name == nil {
			return "", false
		}
		return *name, true
	}, zap.NewNop())

	store(t, cache, record("early", "1"))
	expect(t, cache, nil, "early")
	set("one")
	// What was put while the epoch was unknown was not written at all.
	expect(t, cache, nil, "early")
	store(t, cache, record("a", "1"))
	expect(t, cache, []idem.Record[answer]{record("a", "1")}, "a")
	set("two")
	expect(t, cache, nil, "a")
	set("one")
	expect(t, cache, []idem.Record[answer]{record("a", "1")}, "a")
	epoch.Store(nil)
	expect(t, cache, nil, "a")

	found, err := cache.Inspect(t.Context(), "a")
	if err != nil || found.Verified || found.Problem != string(unknownEpoch) {
		t.Errorf("inspect without an epoch = %+v, %v", found, err)
	}
	lookups, written, _ := counts.snapshot()
	if diff := cmp.Diff(map[Result]int{Miss: 3, Hit: 2, Stale: 1}, lookups); diff != "" {
		t.Errorf("lookups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[bool]int{true: 1}, written); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestCache_KeyRotation(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	with := func(names ...string) *Cache[answer] {
		c := cfg
		c.Keys = ring(t, names...)
		return newCache(t, c)
	}
	before, both, after := with("old"), with("new", "old"), with("new")
	store(t, before, record("a", "1"))
	expect(t, both, []idem.Record[answer]{record("a", "1")}, "a")
	expect(t, after, nil, "a")
	store(t, both, record("b", "2"))
	expect(t, before, nil, "b")
	expect(t, after, []idem.Record[answer]{record("b", "2")}, "b")
	// The step between: the new key verifies everywhere before it signs anywhere.
	expect(t, with("old", "new"), []idem.Record[answer]{record("a", "1"), record("b", "2")},
		"a", "b")
}

func TestCache_OversizedRecordKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	big := record("big", strings.Repeat("x", maxValue))
	err := cache.Put(t.Context(), []idem.Record[answer]{record("a", "1"), big, record("b", "1")})
	if err == nil {
		t.Error("an oversized record was stored without a word")
	}
	expect(t, cache, []idem.Record[answer]{record("a", "1"), record("b", "1")}, "a", "big", "b")
	_, written, changes := counts.snapshot()
	if diff := cmp.Diff(map[bool]int{true: 2, false: 1}, written); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if len(changes) != 0 {
		t.Errorf("a record of ours opened the breaker: %v", changes)
	}
}

func TestCache_Inspect(t *testing.T) {
	t.Parallel()
	cfg, raw := realServer(t)
	cache := newCache(t, cfg)
	found, err := cache.Inspect(t.Context(), "a")
	if diff := cmp.Diff(Inspection[answer]{Key: "a"}, found); err != nil || diff != "" {
		t.Errorf("inspect of nothing: %v (-want +got):\n%s", err, diff)
	}
	store(t, cache, record("a", "1"))
	found, err = cache.Inspect(t.Context(), "a")
	if err != nil || found.TTL <= 0 || found.TTL > 2*time.Hour {
		t.Errorf("inspect: TTL %s, %v", found.TTL, err)
	}
	found.TTL = 0
	want := Inspection[answer]{
		Key: "a", Present: true, Verified: true, Expires: true, Record: record("a", "1"),
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("inspect (-want +got):\n%s", diff)
	}
	raw.Persist(t.Context(), cache.name("a"))
	found, err = cache.Inspect(t.Context(), "a")
	if err != nil || found.Expires || !found.Verified {
		t.Errorf("inspect of a value without expiry = %+v, %v", found, err)
	}
}

func TestCache_Scan(t *testing.T) {
	t.Parallel()
	cfg, raw := realServer(t)
	cfg.KeyPrefix += `[a*]?\:`
	cache := newCache(t, cfg)
	want := map[idem.Key]string{}
	var records []idem.Record[answer]
	for i := range 3 * scanCount {
		r := record(strings.Repeat("k", i%7)+string(rune(0x4e00+i)), "1")
		records = append(records, r)
		want[r.Key] = ""
	}
	store(t, cache, records...)
	raw.RPush(t.Context(), cache.name("list"), "x")
	want["list"] = string(notString)
	raw.Set(t.Context(), cache.name("text"), "x", 0)
	want["text"] = string(malformed)
	// Would match, were the prefix taken for a pattern.
	neighbour := strings.TrimSuffix(cfg.KeyPrefix, `[a*]?\:`) + "aX:neighbour"
	raw.Set(t.Context(), neighbour, "x", time.Hour)

	got := map[idem.Key]string{}
	err := cache.Scan(t.Context(), func(i Inspection[answer]) error {
		got[i.Key] = i.Problem
		if i.Verified != (i.Problem == "") || i.Verified != i.Expires {
			t.Errorf("scan found %+v", i)
		}
		return nil
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("scan: %v (-want +got):\n%s", err, diff)
	}
	stop := errors.New("enough")
	if err := cache.Scan(t.Context(), func(Inspection[answer]) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("scan returned %v, want the callback's error", err)
	}
	if err := cache.Scan(canceled(t), func(Inspection[answer]) error { return nil }); err == nil {
		t.Error("scan went on after its context had ended")
	}
}

func TestCache_ConcurrentUse(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	cache := newCache(t, cfg)
	errs := make(chan error, 8*connections)
	for i := range cap(errs) {
		go func() {
			r := record(strings.Repeat("x", i), "1")
			errs <- errors.Join(cache.Put(t.Context(), []idem.Record[answer]{r}), func() error {
				got, err := cache.Get(t.Context(), []idem.Key{r.Key})
				if err == nil && got[r.Key] != r {
					err = errors.New("a record came back as another: " + string(r.Key))
				}
				return err
			}())
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if open := cache.client.PoolStats().TotalConns; open > connections {
		t.Errorf("%d connections, want at most %d", open, connections)
	}
}

func TestCache_PingAndClose(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	cache := newCache(t, cfg)
	if err := cache.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	if err := errors.Join(cache.Close(), cache.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := cache.Get(t.Context(), []idem.Key{"a"}); err == nil {
		t.Error("a closed cache answers")
	}
	if cfg.Password == "" {
		return
	}
	for password, want := range map[string]string{"": "NOAUTH", "not-it": "WRONGPASS"} {
		wrong := cfg
		wrong.Password = password
		err := newCache(t, wrong).Ping(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ping with password %q: %v, want %s", password, err, want)
		}
		if _, err := newCache(t, wrong).Get(t.Context(), []idem.Key{"a"}); err == nil {
			t.Errorf("get with password %q reports no failure", password)
		}
	}
}
