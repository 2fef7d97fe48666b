package link

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/payment/internal/devstack/relay/relaytest"
)

// TestLink_Latency: on a connection that was there before as well, and not after Reset.
func TestLink_Latency(t *testing.T) {
	t.Parallel()
	l, _ := setup(t)
	conn := relaytest.Dial(t, l.Addr())
	send(t, conn, "a")
	wantRead(t, conn, "a")
	must(t, l.Latency(50*time.Millisecond))
	begin := time.Now()
	send(t, conn, "b")
	wantRead(t, conn, "b")
	if took := time.Since(begin); took < 50*time.Millisecond {
		t.Errorf("the answer came after %s", took)
	}
	must(t, l.Reset())
	send(t, conn, "c")
	wantRead(t, conn, "c")
	if n := l.Stats().Delayed; n != 1 {
		t.Errorf("%d pieces delayed, want 1", n)
	}
}

// TestLink_LatencyKeepsOrder: much data passes whole, although it waits.
func TestLink_LatencyKeepsOrder(t *testing.T) {
	t.Parallel()
	l, _ := setup(t)
	must(t, l.Latency(time.Millisecond))
	conn := relaytest.Dial(t, l.Addr())
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	var sending sync.WaitGroup
	sending.Go(func() { _, _ = conn.Write(data) })
	got := make([]byte, len(data))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the data came back changed: %v", err)
	}
	sending.Wait()
}

func TestLink_Slice(t *testing.T) {
	t.Parallel()
	for name, pause := range map[string]time.Duration{"AtOnce": 0, "Paused": time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := setup(t)
			must(t, l.Slice(1, pause))
			conn := relaytest.Dial(t, l.Addr())
			send(t, conn, "twelve bytes")
			wantRead(t, conn, "twelve bytes")
			eventually(t, "each byte on its own, both ways", func() bool {
				return l.Stats().Slices == 24
			})
		})
	}
}

// TestLink_Blackhole: neither old nor new connections get anything through, and then all of it.
func TestLink_Blackhole(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	old := relaytest.Dial(t, l.Addr())
	send(t, old, "a")
	wantRead(t, old, "a")
	must(t, l.Blackhole())
	fresh := relaytest.Dial(t, l.Addr())
	send(t, old, "b")
	send(t, fresh, "b")
	wantSilence(t, old)
	wantSilence(t, fresh)
	if got := server.got(); got != "a" {
		t.Errorf("%q has reached the server", got)
	}
	eventually(t, "two requests that wait", func() bool { return l.Stats().Held == 2 })
	must(t, l.Blackhole()) // once more strands nobody
	must(t, l.Reset())
	wantRead(t, old, "b")
	wantRead(t, fresh, "b")
}

// TestLink_BlackholeHidesTheEnd: the server learns when it is over that the client went away.
func TestLink_BlackholeHidesTheEnd(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	conn := relaytest.Dial(t, l.Addr())
	send(t, conn, "a")
	wantRead(t, conn, "a")
	must(t, l.Blackhole())
	must(t, conn.Close())
	select {
	case <-server.ends:
		t.Error("the end has passed")
	case <-time.After(relaytest.Glimpse):
	}
	must(t, l.Reset())
	select {
	case <-server.ends:
	case <-time.After(relaytest.Patience):
		t.Error("the end has not passed after Reset")
	}
}

// TestLink_BlackholeHidesTheServersEnd: and the client that the server did.
func TestLink_BlackholeHidesTheServersEnd(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = listener.Close() }()
	l, err := Listen("127.0.0.1:0", listener.Addr().String())
	must(t, err)
	defer func() { _ = l.Close() }()
	conn := relaytest.Dial(t, l.Addr())
	server, err := listener.Accept()
	must(t, err)
	must(t, l.Blackhole())
	must(t, server.Close())
	wantSilence(t, conn)
	must(t, l.Reset())
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after Reset: %v, want the end", err)
	}
}

// TestLink_BlackholeCanBeCut: nobody is left waiting at the gate.
func TestLink_BlackholeCanBeCut(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	must(t, l.Blackhole())
	conn := relaytest.Dial(t, l.Addr())
	send(t, conn, "a")
	eventually(t, "a request that waits", func() bool { return l.Stats().Held == 1 })
	if n := l.CutAll(); n != 1 {
		t.Errorf("%d connections cut, want 1", n)
	}
	<-server.ends
	send(t, relaytest.Dial(t, l.Addr()), "b")
	eventually(t, "a request that waits", func() bool { return l.Stats().Held == 2 })
	must(t, l.Close())
}

// TestLink_Strand: old connections are dead, and neither side can know; new ones work.
func TestLink_Strand(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	old := relaytest.Dial(t, l.Addr())
	send(t, old, "a")
	wantRead(t, old, "a")
	must(t, l.Strand())
	fresh := relaytest.Dial(t, l.Addr())
	send(t, old, "b")
	send(t, fresh, "c")
	wantRead(t, fresh, "c")
	wantSilence(t, old)
	if got := server.got(); got != "ac" {
		t.Errorf("%q has reached the server", got)
	}
	must(t, l.Strand()) // those that there are now, as well
	send(t, fresh, "d")
	wantSilence(t, fresh)
	must(t, l.Reset())
	wantRead(t, old, "b")
	wantRead(t, fresh, "d")
}

// TestLink_HoldAnswers: the request is carried out, and its answer comes after Reset.
func TestLink_HoldAnswers(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	must(t, l.HoldAnswers())
	conn := relaytest.Dial(t, l.Addr())
	send(t, conn, "SET")
	eventually(t, "the request at the server", func() bool { return server.got() == "SET" })
	eventually(t, "its answer to be held", func() bool { return l.Stats().Held == 1 })
	wantSilence(t, conn)
	must(t, l.Reset())
	wantRead(t, conn, "SET")
}

// TestLink_CutAfter at each byte of a request: so many reach the server, and the client's
// connection is reset.
func TestLink_CutAfter(t *testing.T) {
	t.Parallel()
	const text = "request"
	for n := range len(text) + 1 {
		l, server := setup(t)
		conn := relaytest.Dial(t, l.Addr())
		must(t, l.CutAfter(int64(n)))
		send(t, conn, text)
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after %d bytes: %v, want a reset", n, err)
		}
		<-server.ends
		if got := server.got(); got != text[:n] {
			t.Errorf("%q reached the server, want %q", got, text[:n])
		}
		if n := l.Stats().Resets; n != 1 {
			t.Errorf("%d resets, want 1", n)
		}
		must(t, l.Reset())
		conn = relaytest.Dial(t, l.Addr())
		send(t, conn, text)
		wantRead(t, conn, text)
	}
}

// TestLink_CutAfterCountsAnew for each connection, and over several requests.
func TestLink_CutAfterCountsAnew(t *testing.T) {
	t.Parallel()
	l, server := setup(t)
	must(t, l.CutAfter(3))
	for range 2 {
		conn := relaytest.Dial(t, l.Addr())
		send(t, conn, "a")
		wantRead(t, conn, "a")
		send(t, conn, "bcd")
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v, want a reset", err)
		}
		<-server.ends
	}
	if got := server.got(); got != "abcabc" {
		t.Errorf("%q reached the server", got)
	}
}

func TestLink_DownAndUp(t *testing.T) {
	t.Parallel()
	l, _ := setup(t)
	conn := relaytest.Dial(t, l.Addr())
	send(t, conn, "a")
	wantRead(t, conn, "a")
	if n, err := l.Down(); n != 1 || err != nil {
		t.Fatalf("Down: %d connections, %v", n, err)
	}
	if _, err := net.Dial("tcp", l.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want refused", err)
	}
	must(t, l.Up())
	conn = relaytest.Dial(t, l.Addr())
	send(t, conn, "b")
	wantRead(t, conn, "b")
	if n := l.Stats().Connections; n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestLink_Misuse(t *testing.T) {
	t.Parallel()
	l, _ := setup(t)
	for name, err := range map[string]error{
		"Latency": l.Latency(0), "Slice": l.Slice(0, 0), "Pause": l.Slice(1, -1),
		"CutAfter": l.CutAfter(-1),
	} {
		if !errors.Is(err, errAmount) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
