package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

func TestSend(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	r := s.run("send", "--order-id", "ORDERID_100", "--serial", "PAY_100", "--payer", "user-1",
		"--payee", "shop-1", "--amount", "19.99", "-o", "json").want(t, 0)
	queue, offset := 3, int64(1)
	want := sent{OrderID: "ORDERID_100", Serial: "PAY_100", MessageID: "M000001",
		Status: acknowledged, Queue: &queue, Offset: &offset, Sends: 1}
	if diff := cmp.Diff(want, read[sent](t, r.stdout)); diff != "" {
		t.Error(diff)
	}
	wantSent := []rocketmq.Outgoing{{Topic: "ORDER_PAYMENT", Tag: "pay", Key: "ORDERID_100",
		ID: "M000001", Body: []byte(`{"version":1,"order_id":"ORDERID_100","serial_no":"PAY_100",` +
			`"payer":"user-1","payee":"shop-1","amount":1999,"currency":"CNY"}`)}}
	if diff := cmp.Diff(wantSent, s.broker.sent); diff != "" {
		t.Error(diff)
	}
	if s.broker.closed != 1 {
		t.Errorf("the broker was closed %d times", s.broker.closed)
	}
}

// TestSend_Minted: names that nobody gave are valid, new each time, and sort by time.
func TestSend_Minted(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	var last sent
	for range 50 {
		r := s.run("send", "--payer", "user-1", "--payee", "shop-1", "--amount", "500",
			"--currency", "JPY", "-o", "jsonl").want(t, 0)
		now := read[sent](t, r.stdout)
		if now.OrderID <= last.OrderID || now.Serial <= last.Serial {
			t.Fatalf("%+v came after %+v", now, last)
		}
		last = now
	}
	for _, out := range s.broker.sent {
		o, err := order.Decode(out.Key, out.Body, order.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		if o.Amount != (order.Money{Minor: 500, Currency: "JPY"}) {
			t.Errorf("amount %s", o.Amount)
		}
	}
}

// TestSend_Text: the line that people and scripts see.
func TestSend_Text(t *testing.T) {
	t.Parallel()
	r := newSetup(t).run("send", "--order-id", "O1", "--serial", "S1", "--payer", "user-1",
		"--payee", "shop-1", "--amount", "1").want(t, 0)
	want := "acknowledged  order O1  serial S1  message M000001  queue 3  offset 1  sends 1\n"
	if r.stdout != want || r.stderr != "" {
		t.Errorf("got %q, and %q", r.stdout, r.stderr)
	}
}

// TestSend_Unknown: it is said with the names to send again, and the status is not 0.
func TestSend_Unknown(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.environ = []string{"PAYMENT_ROCKETMQ_UNKNOWN_REPEATS=1"}
	s.broker.answer = func(int, rocketmq.Outgoing) error { return errUnknown }
	r := s.run("send", "--order-id", "O1", "--serial", "S1", "--payer", "user-1",
		"--payee", "shop-1", "--amount", "1").want(t, 1)
	if r.stdout != "unknown  order O1  serial S1  message M000001  sends 2\n" {
		t.Errorf("got %q", r.stdout)
	}
	if !strings.Contains(r.stderr, "--order-id O1 --serial S1") {
		t.Errorf("it does not say how to go on: %q", r.stderr)
	}
}

func TestSend_Failed(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.broker.answer = func(int, rocketmq.Outgoing) error { return errRefused }
	r := s.run("send", "--payer", "user-1", "--payee", "shop-1", "--amount", "1", "-o", "json").
		want(t, 1)
	got := read[sent](t, r.stdout)
	if got.Status != failed || got.Sends != 1 || got.Queue != nil ||
		!strings.Contains(got.Error, "no permission") {
		t.Errorf("got %+v", got)
	}
}

func TestSend_SameMessageAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.run("send", "--order-id", "O1", "--serial", "S1", "--payer", "user-1", "--payee", "shop-1",
		"--amount", "1", "--message-id", "ABCDEF").want(t, 0)
	if id := s.broker.sent[0].ID; id != "ABCDEF" {
		t.Errorf("sent as %q", id)
	}
}

func TestSend_Raw(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ body, want string }{
		{`{"version":1,`, `{"version":1,`},
		{"@" + file, "from a file\n"},
		{"@-", "from standard input"},
	} {
		s := newSetup(t)
		s.stdin = strings.NewReader("from standard input")
		r := s.run("send", "--raw-body", test.body, "--key", "K1", "-o", "jsonl").want(t, 0)
		if got := read[sent](t, r.stdout); got.OrderID != "K1" || got.Serial != "" {
			t.Errorf("got %+v", got)
		}
		if out := s.broker.sent[0]; out.Key != "K1" || string(out.Body) != test.want {
			t.Errorf("%s: sent %+v", test.body, out)
		}
	}
	s := newSetup(t)
	s.run("send", "--raw-body", "x").want(t, 0)
	if key := s.broker.sent[0].Key; !regexp.MustCompile(`^ORDERID_[0-9a-f-]{36}$`).MatchString(key) {
		t.Errorf("key %q", key)
	}
	s.stdin = strings.NewReader(strings.Repeat("x", 64<<10+1))
	s.run("send", "--raw-body", "@-").want(t, 2)
}
