package rocketmqproxy

import (
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/payment/internal/devstack/relay/relaytest"
	"example.com/payment/internal/remoting"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker answers every request, and counts the messages that it has stored.
type broker struct {
	listener net.Listener
	stored   chan string
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{listener: listener, stored: make(chan string, 10_000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.serve(conn)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return b
}

// serve takes one connection after the other: each test uses one at a time.
func (b *broker) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		frame, err := remoting.Read(conn)
		if err != nil {
			return
		}
		if frame.Header.IsSend() {
			b.stored <- frame.Header.Topic()
		}
		if frame.Header.Code == hangUp || frame.Header.Topic() == silent {
			return
		}
		answer := remoting.Header{Opaque: frame.Header.Opaque, Flag: 1}
		raw, _ := remoting.Encode(answer, frame.Body)
		if _, err := conn.Write(raw); err != nil {
			return
		}
	}
}

// hangUp is a request that makes the test's broker close the connection.
const hangUp = 9999

// silent is a topic for which it does so instead of an answer.
const silent = "SILENT"

func startProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := Listen("127.0.0.1:0", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func request(t *testing.T, conn net.Conn, code int, opaque int32, topic string) {
	t.Helper()
	raw, err := remoting.Encode(remoting.Header{
		Code: code, Opaque: opaque, Fields: map[string]string{"b": topic},
	}, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
}

// wantAnswer reads the next answer and fails if it is to another request.
func wantAnswer(t *testing.T, conn net.Conn, opaque int32) {
	t.Helper()
	frame, err := remoting.Read(conn)
	if err != nil {
		t.Fatal(err)
	}
	if frame.Header.Opaque != opaque || string(frame.Body) != "hello" {
		t.Fatalf("answer to %d with %q, want to %d", frame.Header.Opaque, frame.Body, opaque)
	}
}

func wantClosed(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(relaytest.Patience):
		t.Fatal("the order was not carried out")
	}
}

// TestProxy_DropAnswer: the broker stores both messages, the producer hears of the second only,
// and what goes to other topics or is no message passes in between.
func TestProxy_DropAnswer(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	p := startProxy(t, b.listener.Addr().String())
	conn := relaytest.Dial(t, p.Addr())
	done := p.DropAnswer("T")

	request(t, conn, remoting.SendMessageV2, 1, "OTHER")
	wantAnswer(t, conn, 1)
	request(t, conn, remoting.RouteOfTopic, 2, "T")
	wantAnswer(t, conn, 2)
	request(t, conn, remoting.SendMessageV2, 3, "T")
	request(t, conn, remoting.SendMessageV2, 4, "T")
	wantAnswer(t, conn, 4)
	wantClosed(t, done)

	for _, want := range []string{"OTHER", "T", "T"} {
		if got := <-b.stored; got != want {
			t.Errorf("the broker stored a message of %s, want %s", got, want)
		}
	}
}

// TestProxy_DropAnswerAfterReconnect: an order whose connection ended before the broker's answer
// came is carried out on a later one.
func TestProxy_DropAnswerAfterReconnect(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	p := startProxy(t, b.listener.Addr().String())
	done := p.DropAnswer("")
	first := relaytest.Dial(t, p.Addr())
	request(t, first, remoting.SendBatch, 1, silent)
	if _, err := remoting.Read(first); err == nil {
		t.Fatal("the broker did not hang up")
	}

	second := relaytest.Dial(t, p.Addr())
	for opaque := int32(2); ; opaque += 2 {
		request(t, second, remoting.SendBatch, opaque, "T")
		request(t, second, remoting.RouteOfTopic, opaque+1, "")
		frame, err := remoting.Read(second)
		if err != nil {
			t.Fatal(err)
		}
		if frame.Header.Opaque == opaque+1 {
			break // the answer to the send before it is lost
		}
		wantAnswer(t, second, opaque+1) // the proxy has not seen the first one's end yet
	}
	wantClosed(t, done)
}

// TestProxy_BrokerHangsUp: the client sees the end of its connection.
func TestProxy_BrokerHangsUp(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	conn := relaytest.Dial(t, startProxy(t, b.listener.Addr().String()).Addr())
	request(t, conn, hangUp, 1, "")
	if _, err := remoting.Read(conn); err == nil {
		t.Fatal("the connection is still open")
	}
}

// TestProxy_BrokerDown: a connection is closed, and the proxy serves the next one.
func TestProxy_BrokerDown(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	target := b.listener.Addr().String()
	_ = b.listener.Close()
	p := startProxy(t, target)
	for range 2 {
		if _, err := remoting.Read(relaytest.Dial(t, p.Addr())); err == nil {
			t.Fatal("the connection is still open")
		}
	}
}

// TestProxy_Close ends connections that are in use; goleak sees to the rest.
func TestProxy_Close(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	p := startProxy(t, b.listener.Addr().String())
	conn := relaytest.Dial(t, p.Addr())
	request(t, conn, remoting.RouteOfTopic, 1, "")
	wantAnswer(t, conn, 1)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := remoting.Read(conn); err == nil {
		t.Fatal("the connection is still open")
	}
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Fatal("the proxy still listens")
	}
}
