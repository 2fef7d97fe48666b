package link

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/payment/internal/devstack/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it reads, and remembers it.
type echo struct {
	addr string
	mu   sync.Mutex
	read []byte
	ends chan struct{} // one for each connection that has ended
}

func (e *echo) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		e.ends <- struct{}{}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		e.mu.Lock()
		e.read = append(e.read, buffer[:n]...)
		e.mu.Unlock()
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (e *echo) got() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.read)
}

func setup(t *testing.T) (*Link, *echo) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: listener.Addr().String(), ends: make(chan struct{}, 100)}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { e.serve(conn) })
		}
	})
	l, err := Listen("127.0.0.1:0", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.Close()
		_ = listener.Close()
		running.Wait()
	})
	return l, e
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

// wantSilence fails if something comes, or the connection ends.
func wantSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(relaytest.Glimpse)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v, want silence", n, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(relaytest.Patience)); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(relaytest.Patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
