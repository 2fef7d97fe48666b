package rocketmqproxy

import (
	"net"
	"testing"

	"example.com/payment/internal/devstack/relay/relaytest"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/remoting"
)

// ask sends a request with fields and returns the next answer.
func ask(t *testing.T, conn net.Conn, h remoting.Header) remoting.Header {
	t.Helper()
	raw, err := remoting.Encode(h, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	frame, err := remoting.Read(conn)
	if err != nil {
		t.Fatal(err)
	}
	return frame.Header
}

func ack(opaque int32, topic string) remoting.Header {
	return remoting.Header{Code: updateOffset, Opaque: opaque, Flag: onewayFlag,
		Fields: map[string]string{"topic": topic, "consumerGroup": "G"}}
}

func back(opaque int32, group string) remoting.Header {
	return remoting.Header{Code: sendBack, Opaque: opaque,
		Fields: map[string]string{"group": group, "originTopic": "T"}}
}

func sent(opaque int32, topic string) remoting.Header {
	return remoting.Header{Code: remoting.SendMessageV2, Opaque: opaque,
		Fields: map[string]string{"b": topic}}
}

// TestProxy_CutAcknowledgement: the client's connection ends before the broker hears of it.
func TestProxy_CutAcknowledgement(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	p := startProxy(t, b.listener.Addr().String())
	r := p.Add(Acknowledgements("T"), Cut(), rule.Every(2))
	passed := p.Add(Acknowledgements(""), Pass(), rule.Always())
	conn := relaytest.Dial(t, p.Addr())
	// The test's broker answers also what wants no answer, which shows that it got it.
	for opaque, topic := range []string{"T", "OTHER"} {
		if got := ask(t, conn, ack(int32(opaque), topic)); got.Opaque != int32(opaque) {
			t.Fatalf("answer to %d", got.Opaque)
		}
	}
	raw, err := remoting.Encode(ack(9, "T"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := remoting.Read(conn); err == nil {
		t.Fatal("the connection is still open")
	}
	if r.Fired() != 1 || r.Matched() != 2 || passed.Fired() != 2 {
		t.Errorf("fired %d of %d, %d passed", r.Fired(), r.Matched(), passed.Fired())
	}
	r.Remove()
	conn = relaytest.Dial(t, p.Addr())
	for opaque := range int32(4) {
		ask(t, conn, ack(opaque, "T"))
	}
}

// TestProxy_Refuse: the client reads the code for what is refused, and the broker never sees it.
func TestProxy_Refuse(t *testing.T) {
	t.Parallel()
	b := startBroker(t)
	p := startProxy(t, b.listener.Addr().String())
	backs := p.Add(SendBacks("G"), Refuse(NoPermission), rule.Always())
	retries := p.Add(Sends("%RETRY%G"), Refuse(NotAvailable), rule.Always())
	results := p.Add(Sends("RESULT"), Refuse(NoPermission), rule.Every(2))
	conn := relaytest.Dial(t, p.Addr())
	requests := []struct {
		header remoting.Header
		want   int
	}{
		{back(1, "G"), NoPermission}, {back(2, "OTHER"), 0}, {back(3, "G"), NoPermission},
		{sent(4, "%RETRY%G"), NotAvailable}, {sent(5, "%RETRY%OTHER"), 0},
		{sent(6, "RESULT"), 0}, {sent(7, "RESULT"), NoPermission}, {sent(8, "ORDER"), 0},
	}
	for _, request := range requests {
		got := ask(t, conn, request.header)
		if !got.IsResponse() || got.Opaque != request.header.Opaque || got.Code != request.want {
			t.Errorf("request %d: answer %+v, want code %d",
				request.header.Opaque, got, request.want)
		}
	}
	if backs.Fired() != 2 || retries.Fired() != 1 || results.Fired() != 1 {
		t.Errorf("fired: %d send-backs, %d retries, %d results",
			backs.Fired(), retries.Fired(), results.Fired())
	}
	for _, want := range []string{"%RETRY%OTHER", "RESULT", "ORDER"} {
		if got := <-b.stored; got != want {
			t.Errorf("the broker stored a message of %s, want %s", got, want)
		}
	}
}

// TestProxy_NothingIsAnswered: what is dropped, and what is refused although it wants no answer,
// leaves the connection as it is.
func TestProxy_NothingIsAnswered(t *testing.T) {
	t.Parallel()
	for name, fate := range map[string]Fate{"Drop": Drop(), "Refuse": Refuse(NoPermission)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBroker(t)
			p := startProxy(t, b.listener.Addr().String())
			r := p.Next(Acknowledgements(""), fate)
			conn := relaytest.Dial(t, p.Addr())
			raw, err := remoting.Encode(ack(1, "T"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(raw); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, conn, ack(2, "T")); got.Opaque != 2 || got.Code != 0 {
				t.Errorf("answer %+v, want one to the second request", got)
			}
			if r.Fired() != 1 {
				t.Errorf("fired %d times", r.Fired())
			}
		})
	}
}

// TestProxy_AnswersAreNoRequests: the broker's frames may have the code of a request.
func TestProxy_AnswersAreNoRequests(t *testing.T) {
	t.Parallel()
	p := &Proxy{}
	p.Add(SendBacks(""), Cut(), rule.Always())
	if r := p.take(remoting.Header{Code: sendBack, Flag: responseFlag}); r != nil {
		t.Error("an answer was taken for a message that is given back")
	}
}
