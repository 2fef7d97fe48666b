package redis

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

// answer stands in for whatever a user of the cache answers.
type answer struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// roomy is a budget for tests that are not about the budget, on machines that stand still.
const roomy = 20 * time.Second

func ring(t *testing.T, names ...string) Keyring {
	t.Helper()
	parts := make([]string, len(names))
	for i, name := range names {
		secret := sha256.Sum256([]byte(name))
		parts[i] = name + ":" + hex.EncodeToString(secret[:])
	}
	keys, err := ParseKeyring(strings.Join(parts, ","))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func fixedEpoch(name string) func() (string, bool) {
	return func() (string, bool) { return name, true }
}

func record(key, content string) idem.Record[answer] {
	return idem.Record[answer]{
		Key:         idem.Key(key),
		Fingerprint: idem.Fingerprint{Version: 1, Sum: sha256.Sum256([]byte(content))},
		Answer:      answer{Status: "paid", Reason: content},
		DecidedAt:   time.Date(2026, 1, 1, 0, 0, 0, 123456000, time.UTC),
	}
}

// counter gathers what the hooks were told.
type counter struct {
	mu      sync.Mutex
	lookups map[Result]int
	written map[bool]int
	changes []string
}

func (c *counter) hooks() Hooks {
	c.lookups, c.written = map[Result]int{}, map[bool]int{}
	return Hooks{
		Lookup: func(r Result, n int) { c.mu.Lock(); c.lookups[r] += n; c.mu.Unlock() },
		Write:  func(ok bool, n int) { c.mu.Lock(); c.written[ok] += n; c.mu.Unlock() },
		Breaker: func(side Side, open bool) {
			c.mu.Lock()
			c.changes = append(c.changes, fmt.Sprintf("%s open=%t", side, open))
			c.mu.Unlock()
		},
	}
}

func (c *counter) snapshot() (lookups map[Result]int, written map[bool]int, changes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	lookups, written = map[Result]int{}, map[bool]int{}
	for k, v := range c.lookups {
		lookups[k] = v
	}
	for k, v := range c.written {
		written[k] = v
	}
	return lookups, written, append([]string(nil), c.changes...)
}

// realServer returns a configuration for the server that the environment names, with a prefix
// that belongs to this test alone, and a plain client to look behind the cache's back.
func realServer(t *testing.T) (Config, *redis.Client) {
	t.Helper()
	address := os.Getenv("PAYMENT_REDIS_ADDRESS")
	if address == "" {
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal("PAYMENT_REDIS_ADDRESS is not set, and this run requires the servers")
		}
		t.Skip("PAYMENT_REDIS_ADDRESS is not set; make test runs this on a real Redis")
	}
	password := os.Getenv("PAYMENT_REDIS_PASSWORD")
	raw := redis.NewClient(&redis.Options{
		Addr: address, Password: password, Protocol: 2, DisableIdentity: true,
	})
	prefix := fmt.Sprintf("test:%d:%s:", time.Now().UnixNano(), t.Name())
	t.Cleanup(func() {
		removeAll(t, raw, prefix)
		_ = raw.Close()
	})
	return Config{
		Address: address, Password: password, KeyPrefix: prefix, Timeout: roomy,
		Expiry: time.Hour, Keys: ring(t, "k1"),
	}, raw
}

func removeAll(t *testing.T, raw *redis.Client, prefix string) {
	t.Helper()
	ctx := context.Background()
	keys := raw.Scan(ctx, 0, globOf(prefix), scanCount).Iterator()
	for keys.Next(ctx) {
		raw.Del(ctx, keys.Val())
	}
	if err := keys.Err(); err != nil {
		t.Errorf("clean up %s: %v", prefix, err)
	}
}

func open1(t *testing.T, cfg Config, epoch func() (string, bool), log *zap.Logger) *Cache[answer] {
	t.Helper()
	cache, err := New[answer](cfg, epoch, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return cache
}

func newCache(t *testing.T, cfg Config) *Cache[answer] {
	t.Helper()
	return open1(t, cfg, fixedEpoch("epoch-1"), zap.NewNop())
}

// standIn speaks just enough of the protocol to fail in the ways that a real server cannot be
// made to on demand. script returns the reply to a command, raw; "" is silence and "close" hangs
// up.
type standIn struct {
	listener net.Listener
	script   func(args []string) string
	mu       sync.Mutex
	conns    []net.Conn
	running  sync.WaitGroup
}

func newStandIn(t *testing.T, script func(args []string) string) *standIn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{listener: listener, script: script}
	s.running.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

func (s *standIn) config(t *testing.T) Config {
	t.Helper()
	return Config{
		Address: s.listener.Addr().String(), KeyPrefix: "p:", Timeout: roomy,
		Keys: ring(t, "k1"),
	}
}

func (s *standIn) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.running.Go(func() { s.serve(conn) })
	}
}

func (s *standIn) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		reply := s.script(args)
		if reply == "close" {
			// Commands that are left unread would turn the end into a reset, which takes the
			// replies before it along.
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, in)
			return
		}
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

func (s *standIn) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func readCommand(in *bufio.Reader) ([]string, error) {
	n, err := readLength(in, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(in, '$')
		if err != nil {
			return nil, err
		}
		raw := make([]byte, size+2)
		if _, err := io.ReadFull(in, raw); err != nil {
			return nil, err
		}
		args[i] = string(raw[:size])
	}
	return args, nil
}

func readLength(in *bufio.Reader, kind byte) (int, error) {
	line, err := in.ReadString('\n')
	if err != nil || line[0] != kind {
		return 0, io.ErrUnexpectedEOF
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}

// answering completes a script with the handshake, so that it only has to know its own commands.
func answering(script func(args []string) string) func(args []string) string {
	return func(args []string) string {
		if strings.EqualFold(args[0], "hello") {
			return "*0\r\n"
		}
		return script(args)
	}
}

func always(reply string) func([]string) string {
	return func([]string) string { return reply }
}
