package mysqlproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/payment/internal/devstack/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server speaks as much of the protocol as the proxy understands: a greeting, a login, statements.
// What a real one does is seen by the tests of internal/mysql, which go through the proxy.
type server struct {
	listener net.Listener
	running  sync.WaitGroup
	ends     chan struct{} // one for each connection that has ended

	mu         sync.Mutex
	statements []string
}

func startServer(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{listener: listener, ends: make(chan struct{}, 100)}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.running.Go(func() { s.serve(conn) })
		}
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.ends <- struct{}{}
	}()
	_, _ = conn.Write(packet(0, "\x0agreeting"))
	in := newPackets(conn)
	if in.next() != nil {
		return
	}
	_, _ = conn.Write(packet(2, "\x00welcome"))
	for in.next() == nil {
		text := string(in.payload())
		for in.more || in.rest > 0 {
			var rest bytes.Buffer
			if in.drain(&rest) != nil {
				return
			}
			text += rest.String()
			if !in.more {
				break
			}
			if in.next() != nil {
				return
			}
			text += string(in.payload())
		}
		s.mu.Lock()
		s.statements = append(s.statements, text[1:])
		s.mu.Unlock()
		if _, err := conn.Write(answerTo(text[1:])); err != nil {
			return
		}
	}
}

// answerTo is success, an error of the code 1213, or three packets of rows.
func answerTo(statement string) []byte {
	switch {
	case strings.HasPrefix(statement, "SELECT"):
		return append(append(packet(1, "\x01"), packet(2, "row")...), packet(3, "\xfeend")...)
	case strings.HasPrefix(statement, "DEADLOCK"):
		return packet(1, "\xff\xbd\x04#40001deadlock")
	}
	return packet(1, "\x00done")
}

// saw returns what statements have come.
func (s *server) saw() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.statements...)
}

func packet(sequence byte, payload string) []byte {
	n := len(payload)
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), sequence}, payload...)
}

// client is a connection through the proxy that has logged in.
type client struct {
	net.Conn
	in *packets
}

func setup(t *testing.T) (*Proxy, *server) {
	t.Helper()
	s := startServer(t)
	p, err := Listen("127.0.0.1:0", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.Close()
		_ = s.listener.Close()
		s.running.Wait()
	})
	return p, s
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	conn := relaytest.Dial(t, p.Addr())
	c := &client{Conn: conn, in: newPackets(conn)}
	if got := c.read(); got != "\x0agreeting" {
		t.Fatalf("greeting %q", got)
	}
	return c
}

// login sends the client's first packet with these capabilities.
func (c *client) login(t *testing.T, capabilities uint32) {
	t.Helper()
	payload := binary.LittleEndian.AppendUint32(nil, capabilities)
	if _, err := c.Write(packet(1, string(payload)+"somebody")); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, p *Proxy) *client {
	t.Helper()
	c := dial(t, p)
	c.login(t, 0x200)
	if got := c.read(); got != "\x00welcome" {
		t.Fatalf("login: %q", got)
	}
	return c
}

// read returns the next packet's payload, or why there is none.
func (c *client) read() string {
	if err := c.in.next(); errors.Is(err, os.ErrDeadlineExceeded) {
		return "silence"
	} else if err != nil {
		return "end"
	}
	return string(c.in.payload())
}

func (c *client) send(t *testing.T, statement string) {
	t.Helper()
	if _, err := c.Write(packet(0, "\x03"+statement)); err != nil {
		t.Fatal(err)
	}
}

// ask sends a statement and returns the first packet of the answer, without its first byte.
func (c *client) ask(t *testing.T, statement string) string {
	t.Helper()
	c.send(t, statement)
	return c.read()
}

// all does so for several statements, and wants success.
func (c *client) all(t *testing.T, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if got := c.ask(t, statement); got != "\x00done" {
			t.Fatalf("%s: %q", statement, got)
		}
	}
}

// wantSilence fails if something comes, or the connection ends.
func (c *client) wantSilence(t *testing.T) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(relaytest.Glimpse)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.in.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v, want silence", err)
	}
	if err := c.SetReadDeadline(time.Now().Add(relaytest.Patience)); err != nil {
		t.Fatal(err)
	}
}

func (c *client) wantEnd(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(c.in.in); errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 0 {
		t.Fatalf("read %q, %v, want the end", rest, err)
	}
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(relaytest.Patience):
		t.Fatalf("waited in vain for: %s", what)
	}
}
