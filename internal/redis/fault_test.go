package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"example.com/payment/internal/idem"
)

// until waits for something that depends on another goroutine or on the clock.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func get(t *testing.T, cache *Cache[answer], keys ...idem.Key) error {
	t.Helper()
	_, err := cache.Get(t.Context(), keys)
	return err
}

func TestCache_HandshakeIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	server := newStandIn(t, answering(always("$0\r\n\r\n")))
	inner := server.script
	server.script = func(args []string) string {
		mu.Lock()
		seen = append(seen, strings.ToLower(strings.Join(args[:2], " ")))
		mu.Unlock()
		return inner(args)
	}
	cache := newCache(t, server.config(t))
	if err := get(t, cache, "a"); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]string{"hello 2", "getrange p:a"}, seen); diff != "" {
		t.Errorf("commands of the first lookup (-want +got):\n%s", diff)
	}
}

// TestCache_Refused is a server that answers every command with an error. The caller gets an
// error that names the code and nothing else, and both breakers open.
func TestCache_Refused(t *testing.T) {
	t.Parallel()
	quoting := "-ERR unknown command `SET`, with args beginning with: `p:a` `secret` \r\n"
	for name, test := range map[string]struct{ reply, want string }{
		"LOADING":     {"-LOADING Redis is loading the dataset in memory\r\n", "(LOADING)"},
		"NOAUTH":      {"-NOAUTH Authentication required.\r\n", "PAYMENT_REDIS_PASSWORD (NOAUTH)"},
		"READONLY":    {"-READONLY You can't write against a replica.\r\n", "(READONLY)"},
		"OOM":         {"-OOM command not allowed when used memory >\r\n", "(OOM)"},
		"MISCONF":     {"-MISCONF Redis is configured to save snapshots\r\n", "(MISCONF)"},
		"MOVED":       {"-MOVED 3999 127.0.0.1:1\r\n", "(MOVED)"},
		"NOPERM":      {"-NOPERM this user has no permissions\r\n", "(NOPERM)"},
		"ERR":         {quoting, "refused (ERR)"},
		"lower case":  {"-secret\r\n", "refused"},
		"no protocol": {"secret secret\r\n", "not one that Redis gives"},
		"other type":  {":1234\r\n", ""},
		"hangs up":    {"close", "connection was closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newStandIn(t, answering(always(test.reply)))
			cfg := server.config(t)
			cfg.Pause = time.Hour
			cfg.Password = "secret"
			var counts counter
			cfg.Hooks = counts.hooks()
			cache := newCache(t, cfg)
			if name == "other type" {
				// An integer where a string belongs is readable, and is not a value of ours.
				expect(t, cache, nil, "a", "b")
				return
			}
			for range tripInARow {
				errGet := get(t, cache, "a", "b")
				errPut := cache.Put(t.Context(), []idem.Record[answer]{record("a", "secret")})
				_, errInspect := cache.Inspect(t.Context(), "a")
				errScan := cache.Scan(t.Context(), func(Inspection[answer]) error { return nil })
				errs := []error{errGet, errPut, errInspect, errScan, cache.Ping(t.Context())}
				for _, err := range errs {
					if err == nil || !strings.Contains(err.Error(), test.want) ||
						strings.Contains(err.Error(), "secret") {
						t.Errorf("error = %v, want %q", err, test.want)
					}
				}
			}
			if err := get(t, cache, "a", "b"); !errors.Is(err, ErrGivenUp) {
				t.Errorf("after %d failures: %v, want ErrGivenUp", tripInARow, err)
			}
			lookups, written, changes := counts.snapshot()
			if diff := cmp.Diff(map[Result]int{Failed: 8}, lookups); diff != "" {
				t.Errorf("lookups (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[bool]int{false: tripInARow}, written); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			want := []string{"lookups open=true", "writes open=true"}
			if diff := cmp.Diff(want, changes); diff != "" {
				t.Errorf("breaker (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCache_RefusedAtTheDoor fails in the handshake, where the client reports the failure but
// marks none of the commands, which then look like keys that are not there.
func TestCache_RefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	var hellos atomic.Int64
	server := newStandIn(t, func(args []string) string {
		if strings.EqualFold(args[0], "hello") {
			hellos.Add(1)
		}
		return "-WRONGPASS invalid username-password pair\r\n"
	})
	cfg := server.config(t)
	cfg.Password = "not-it"
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	if err := get(t, cache, "a"); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("get: %v", err)
	}
	if n := hellos.Load(); n != 1 {
		t.Errorf("one lookup tried %d connections", n)
	}
	err := cache.Put(t.Context(), []idem.Record[answer]{record("a", "1")})
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("put: %v", err)
	}
	if found, err := cache.Inspect(t.Context(), "a"); err == nil {
		t.Errorf("inspect found %+v", found)
	}
	lookups, written, _ := counts.snapshot()
	if lookups[Miss] != 0 || lookups[Failed] != 1 || written[true] != 0 {
		t.Errorf("counted %v and %v", lookups, written)
	}
}

// TestCache_SidesFailApart is a replica or a full server: writes are refused, lookups are not.
func TestCache_SidesFailApart(t *testing.T) {
	t.Parallel()
	server := newStandIn(t, answering(func(args []string) string {
		if strings.EqualFold(args[0], "set") {
			return "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
		}
		return "$0\r\n\r\n"
	}))
	cfg := server.config(t)
	cfg.Pause = time.Hour
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	for range 2 * tripInARow {
		if err := cache.Put(t.Context(), []idem.Record[answer]{record("a", "1")}); err == nil {
			t.Error("put reports no failure")
		}
		expect(t, cache, nil, "a")
	}
	if _, _, changes := counts.snapshot(); !cmp.Equal(changes, []string{"writes open=true"}) {
		t.Errorf("breaker changes = %v", changes)
	}
}

// TestCache_Silent is a stopped Redis: it accepts and never answers. The calls end by their own
// budget, and after a few of them nobody asks any more.
func TestCache_Silent(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := newStandIn(t, func([]string) string { asked.Add(1); return "" })
	cfg := server.config(t)
	cfg.Timeout, cfg.Pause = 50*time.Millisecond, time.Hour
	core, logs := observer.New(zap.DebugLevel)
	cache := open1(t, cfg, fixedEpoch("e"), zap.New(core))
	for range tripInARow {
		if err := get(t, cache, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get: %v, want the end of the budget", err)
		}
	}
	for range 100 {
		if err := get(t, cache, "a"); !errors.Is(err, ErrGivenUp) {
			t.Errorf("get: %v, want ErrGivenUp", err)
		}
	}
	until(t, "a command at the server", func() bool { return asked.Load() > 0 })
	// Fewer, if the server has not come to read one within its lookup's budget.
	if n := asked.Load(); n > tripInARow {
		t.Errorf("%d commands for %d lookups: some were tried again, or sent to a server that was "+
			"given up", n, tripInARow)
	}
	if n := logs.Len(); n != 1 {
		t.Errorf("%d log lines, want one: %v", n, logs.All())
	}
}

// TestCache_OutageIsToldOnce takes the server away and brings it back.
func TestCache_OutageIsToldOnce(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	server := newStandIn(t, answering(func([]string) string {
		if down.Load() {
			return "close"
		}
		return "$0\r\n\r\n"
	}))
	cfg := server.config(t)
	cfg.Pause = time.Millisecond
	core, logs := observer.New(zap.DebugLevel)
	cache := open1(t, cfg, fixedEpoch("e"), zap.New(core))
	for round := 1; round <= 2; round++ {
		expect(t, cache, nil, "PAY_1")
		down.Store(true)
		trials := 0
		until(t, "failed trials", func() bool {
			if err := get(t, cache, "PAY_1"); err != nil && !errors.Is(err, ErrGivenUp) {
				trials++
			}
			return trials == 3*tripInARow
		})
		down.Store(false)
		until(t, "the recovery", func() bool { return get(t, cache, "PAY_1") == nil })
		want := make([]string, 0, 2*round)
		for range round {
			want = append(want,
				"cache degraded: going on with the database", "cache recovered")
		}
		var got []string
		for _, line := range logs.All() {
			got = append(got, line.Message)
			if text := fmt.Sprint(line.ContextMap()); strings.Contains(text, "PAY_1") {
				t.Errorf("a key shows in the log: %s", text)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d, log (-want +got):\n%s", round, diff)
		}
	}
}

// TestCache_NobodyThere dials a port that nothing listens on, more often than the client's pool
// tolerates, and then lets a server appear there.
func TestCache_NobodyThere(t *testing.T) {
	t.Parallel()
	server := newStandIn(t, answering(always("$0\r\n\r\n")))
	cfg := server.config(t)
	server.stop()
	cfg.Pause = time.Millisecond
	cache := newCache(t, cfg)
	failures := 0
	until(t, "failed dials", func() bool {
		err := get(t, cache, "a")
		if err == nil {
			t.Fatal("get reports no failure")
		}
		if !errors.Is(err, ErrGivenUp) {
			failures++
			if !strings.Contains(err.Error(), "cannot dial") {
				t.Fatalf("get: %v", err)
			}
		}
		return failures == 2*connections
	})
	listener, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	again := &standIn{listener: listener, script: server.script}
	again.running.Go(again.accept)
	t.Cleanup(again.stop)
	until(t, "the recovery", func() bool { return get(t, cache, "a") == nil })
}

// TestCache_CallerGivesUp is a consumer that shuts down, not an outage.
func TestCache_CallerGivesUp(t *testing.T) {
	t.Parallel()
	asked, left := make(chan struct{}), make(chan struct{})
	server := newStandIn(t, answering(func([]string) string {
		asked <- struct{}{}
		<-left
		return "close"
	}))
	cfg := server.config(t)
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	for range 2 * tripInARow {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			_, err := cache.Get(ctx, []idem.Key{"a"})
			done <- err
		}()
		select {
		case <-asked:
		case err := <-done:
			t.Fatalf("get did not ask: %v", err)
		}
		cancel()
		left <- struct{}{}
		if err := <-done; err == nil {
			t.Error("get reports no failure")
		}
	}
	if _, _, changes := counts.snapshot(); len(changes) != 0 {
		t.Errorf("callers that gave up opened the breaker: %v", changes)
	}
}

// TestCache_CallersDeadline asks a silent server under a budget that would take an hour.
func TestCache_CallersDeadline(t *testing.T) {
	t.Parallel()
	server := newStandIn(t, always(""))
	cfg := server.config(t)
	cfg.Timeout = time.Hour
	cache := newCache(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := cache.Get(ctx, []idem.Key{"a"})
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get: %v, want the caller's deadline", err)
		}
	case <-time.After(time.Minute):
		t.Error("get still waits, a minute after its caller's deadline")
	}
}

func TestQuietClientLogs_KeepsArgumentsOut(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	clientLog{zap.New(core)}.Printf(t.Context(), "redis: cannot parse %q", "a value")
	if logs.Len() != 1 || strings.Contains(fmt.Sprint(logs.All()), "a value") {
		t.Errorf("logged %v", logs.All())
	}
}
