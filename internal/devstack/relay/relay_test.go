package relay

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/payment/internal/devstack/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo starts a server that sends back what it reads.
func echo(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener
}

// start starts a relay that copies.
func start(t *testing.T, target string) *Relay {
	t.Helper()
	r, err := Listen("127.0.0.1:0", target, func(p *Pair) {
		p.Both(
			func() { _, _ = io.Copy(p.Server, p.Client) },
			func() { _, _ = io.Copy(p.Client, p.Server) },
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func wantEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
}

// wantEnd fails unless the connection has ended, by whatever error but the test's own deadline.
func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	if timeout := net.Error(nil); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("the connection is still open: %v", err)
	}
}

func wantRefused(t *testing.T, r *Relay) {
	t.Helper()
	if _, err := net.Dial("tcp", r.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial: %v, want refused", err)
	}
}

func TestRelay_CutAll(t *testing.T) {
	t.Parallel()
	r := start(t, echo(t).Addr().String())
	conns := []net.Conn{relaytest.Dial(t, r.Addr()), relaytest.Dial(t, r.Addr()), relaytest.Dial(t, r.Addr())}
	for _, conn := range conns {
		wantEcho(t, conn)
	}
	if n := r.CutAll(); n != 3 {
		t.Errorf("%d connections cut, want 3", n)
	}
	if n := r.CutAll(); n != 0 {
		t.Errorf("%d connections cut once more", n)
	}
	for _, conn := range conns {
		wantEnd(t, conn)
	}
	wantEcho(t, relaytest.Dial(t, r.Addr()))
	if n := r.Accepted(); n != 4 {
		t.Errorf("%d connections accepted, want 4", n)
	}
}

// TestRelay_DownAndUp: it comes back on the same address, again and again.
func TestRelay_DownAndUp(t *testing.T) {
	t.Parallel()
	r := start(t, echo(t).Addr().String())
	for range 3 {
		conn := relaytest.Dial(t, r.Addr())
		wantEcho(t, conn)
		if n, err := r.Down(); err != nil || n != 1 {
			t.Fatalf("Down: %d connections, %v", n, err)
		}
		wantEnd(t, conn)
		wantRefused(t, r)
		if err := r.Up(); err != nil {
			t.Fatal(err)
		}
	}
	wantEcho(t, relaytest.Dial(t, r.Addr()))
}

// TestRelay_Misuse: a fault that could not be brought about is an error.
func TestRelay_Misuse(t *testing.T) {
	t.Parallel()
	r := start(t, echo(t).Addr().String())
	if err := r.Up(); err != nil {
		t.Errorf("Up of a relay that is up: %v", err)
	}
	if _, err := r.Down(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Down(); !errors.Is(err, errDown) {
		t.Errorf("Down of a relay that is down: %v", err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := r.Up(); !errors.Is(err, errClosed) {
		t.Errorf("Up after Close: %v", err)
	}
	if _, err := r.Down(); !errors.Is(err, errClosed) {
		t.Errorf("Down after Close: %v", err)
	}
}

// TestRelay_UpWithoutThePort: somebody else has taken it, and Close does not wait for that.
func TestRelay_UpWithoutThePort(t *testing.T) {
	t.Parallel()
	r := start(t, echo(t).Addr().String())
	if _, err := r.Down(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = thief.Close() }()
	up := make(chan error, 1)
	go func() { up <- r.Up() }()
	for end := time.Now().Add(relaytest.Patience); r.turn.TryLock(); time.Sleep(time.Millisecond) {
		r.turn.Unlock() // Up has not begun to wait
		if time.Now().After(end) {
			t.Fatal("Up has not begun")
		}
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-up; err == nil {
		t.Error("Up on a port that is taken: no error")
	}
}

// TestRelay_ServerDown: clients are accepted and hung up on, and served when it is back.
func TestRelay_ServerDown(t *testing.T) {
	t.Parallel()
	listener := echo(t)
	r := start(t, listener.Addr().String())
	_ = listener.Close()
	for range 2 {
		wantEnd(t, relaytest.Dial(t, r.Addr()))
	}
}

// TestRelay_Close ends connections that are in use; goleak sees to the rest.
func TestRelay_Close(t *testing.T) {
	t.Parallel()
	r := start(t, echo(t).Addr().String())
	conn := relaytest.Dial(t, r.Addr())
	wantEcho(t, conn)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, conn)
	wantRefused(t, r)
}

// TestPair_Reset: the client reads a reset, where Cut gives it the end of the stream.
func TestPair_Reset(t *testing.T) {
	t.Parallel()
	r, err := Listen("127.0.0.1:0", echo(t).Addr().String(), func(p *Pair) {
		first := make([]byte, 1)
		if _, err := io.ReadFull(p.Client, first); err == nil && first[0] == 'r' {
			p.Reset()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	for text, want := range map[string]error{"r": syscall.ECONNRESET, "c": io.EOF} {
		conn := relaytest.Dial(t, r.Addr())
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, want) {
			t.Errorf("after %q: %v, want %v", text, err, want)
		}
	}
}
