package redis

import (
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
)

// TestCache_PartialAnswer hangs up after the first of three replies.
func TestCache_PartialAnswer(t *testing.T) {
	t.Parallel()
	value, err := seal(ring(t, "k1"), "epoch-1", record("a", "1"))
	if err != nil {
		t.Fatal(err)
	}
	server := newStandIn(t, answering(func(args []string) string {
		if args[1] == "p:a" {
			return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
		}
		return "close"
	}))
	cfg := server.config(t)
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	got, err := cache.Get(t.Context(), []idem.Key{"a", "b", "c"})
	want := map[idem.Key]idem.Record[answer]{"a": record("a", "1")}
	if diff := cmp.Diff(want, got); err == nil || diff != "" {
		t.Errorf("get: %v (-want +got):\n%s", err, diff)
	}
	lookups, _, _ := counts.snapshot()
	if diff := cmp.Diff(map[Result]int{Hit: 1, Failed: 2}, lookups); diff != "" {
		t.Errorf("lookups (-want +got):\n%s", diff)
	}
}

// TestCache_PartialWrite confirms the first of three writes and hangs up.
func TestCache_PartialWrite(t *testing.T) {
	t.Parallel()
	server := newStandIn(t, answering(func(args []string) string {
		if args[1] == "p:a" {
			return "+OK\r\n"
		}
		return "close"
	}))
	cfg := server.config(t)
	var counts counter
	cfg.Hooks = counts.hooks()
	records := []idem.Record[answer]{record("a", "1"), record("b", "1"), record("c", "1")}
	if err := newCache(t, cfg).Put(t.Context(), records); err == nil {
		t.Error("put reports no failure")
	}
	_, written, _ := counts.snapshot()
	if diff := cmp.Diff(map[bool]int{true: 1, false: 2}, written); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// TestCache_ReplyDroppedAfterSet cuts the connection once Redis has carried out the write. The
// caller is told of a failure; the value is there and good.
func TestCache_ReplyDroppedAfterSet(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	direct := newCache(t, cfg)
	proxy := newCutter(t, cfg.Address)
	cfg.Address = proxy.listener.Addr().String()
	var counts counter
	cfg.Hooks = counts.hooks()
	cache := newCache(t, cfg)
	expect(t, cache, nil, "a")
	proxy.cut.Store(true)
	if err := cache.Put(t.Context(), []idem.Record[answer]{record("a", "1")}); err == nil {
		t.Error("put reports no failure")
	}
	if proxy.cuts.Load() == 0 {
		t.Error("no connection was cut, so this test proved nothing")
	}
	proxy.cut.Store(false)
	expect(t, direct, []idem.Record[answer]{record("a", "1")}, "a")
	expect(t, cache, []idem.Record[answer]{record("a", "1")}, "a")
	if _, written, _ := counts.snapshot(); written[true] != 0 || written[false] != 1 {
		t.Errorf("counted %v, want one failure", written)
	}
}

// cutter is a proxy that, while cut is set, hangs up when the server answers.
type cutter struct {
	standIn
	upstream string
	cut      atomic.Bool
	cuts     atomic.Int64
}

func newCutter(t *testing.T, upstream string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{standIn: standIn{listener: listener}, upstream: upstream}
	c.running.Go(c.accept)
	t.Cleanup(c.stop)
	return c
}

func (c *cutter) accept() {
	for {
		down, err := c.listener.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", c.upstream)
		if err != nil {
			_ = down.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, down, up)
		c.mu.Unlock()
		c.running.Go(func() { _, _ = io.Copy(up, down); _ = up.Close() })
		c.running.Go(func() { c.answer(down, up) })
	}
}

func (c *cutter) answer(down, up net.Conn) {
	defer func() { _ = down.Close(); _ = up.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		if c.cut.Load() {
			c.cuts.Add(1)
			return
		}
		if _, err := down.Write(buf[:n]); err != nil {
			return
		}
	}
}
