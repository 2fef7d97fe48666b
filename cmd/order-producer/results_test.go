package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// TestDescribe: a line says all, and what anybody may have written reaches no terminal raw.
func TestDescribe(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	for _, test := range []struct {
		result order.Result
		want   string
	}{
		{
			order.Result{OrderID: "O1", Serial: "P1", Outcome: order.Paid, DecidedBy: "transaction",
				MessageID: "AB12", Attempt: 1},
			"paid       order O1  serial P1  by transaction  attempt 1  message AB12",
		}, {
			order.Result{OrderID: "O1", Serial: "P2", Outcome: order.Duplicate,
				Reason: order.OrderAlreadyPaid, Duplicate: true, DecidedBy: "cache", Attempt: 2,
				First:     &order.First{Outcome: order.Paid, Serial: "P1", DecidedAt: at},
				MessageID: "\x1b[2J\u009b2Jé" + strings.Repeat("x", 99)},
			"duplicate  order O1  serial P2  reason order_already_paid  first paid under P1 at " +
				"2026-01-02 03:04:05.006  by cache  attempt 2  message " +
				`"\x1b[2J\u009b2J\u00e9` + strings.Repeat("x", 30) + `..."`,
		}, {
			order.Result{OrderID: "O1", Serial: "P1", Outcome: order.Duplicate, Duplicate: true,
				DecidedBy: "b y", Attempt: 1, MessageID: "",
				First: &order.First{Outcome: order.Declined, Reason: "in\nsufficient", Serial: "P1",
					DecidedAt: at}},
			`duplicate  order O1  serial P1  first declined ("in\nsufficient") at ` +
				`2026-01-02 03:04:05.006  by "b y"  attempt 1  message ""`,
		},
	} {
		if got := describe(test.result); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestInASCII(t *testing.T) {
	t.Parallel()
	const text = "{\"a\":\"plain é \u009b \u202e \U0001F600 \\n ~ \u007f\"}"
	got := inASCII([]byte(text))
	for _, c := range got {
		if c < ' ' || c > '~' {
			t.Errorf("%q holds %q", got, c)
		}
	}
	var before, after map[string]string
	if err := errors.Join(json.Unmarshal([]byte(text), &before), json.Unmarshal(got, &after)); err != nil {
		t.Fatal(err)
	}
	if before["a"] != after["a"] {
		t.Errorf("%q became %q", before["a"], after["a"])
	}
}

func TestResultFlags_Wants(t *testing.T) {
	t.Parallel()
	r := order.Result{OrderID: "O1", Serial: "P1"}
	for _, test := range []struct {
		flags resultFlags
		want  bool
	}{
		{resultFlags{}, true},
		{resultFlags{orderID: "O1"}, true},
		{resultFlags{orderID: "P1"}, false},
		{resultFlags{serial: "P1"}, true},
		{resultFlags{orderID: "O1", serial: "P2"}, false},
	} {
		if got := test.flags.wants(r); got != test.want {
			t.Errorf("%+v: %v", test.flags, got)
		}
	}
}

// offsetsOf is a backlog on these queues.
func offsetsOf(t *testing.T, queues ...rocketmq.QueueOffsets) (*backlog, *[]rocketmq.QueueOffsets) {
	t.Helper()
	now := &queues
	b := emptyBacklog(func(context.Context) ([]rocketmq.QueueOffsets, error) { return *now, nil })
	if err := b.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, now
}

// TestBacklog: it ends with the last result that was there at the beginning, read by us or
// committed by anybody.
func TestBacklog(t *testing.T) {
	t.Parallel()
	b, now := offsetsOf(t,
		rocketmq.QueueOffsets{Broker: "a", Queue: 0, Max: 3, Committed: rocketmq.NoOffset},
		rocketmq.QueueOffsets{Broker: "a", Queue: 1, Max: 5, Committed: 5},
		rocketmq.QueueOffsets{Broker: "a", Queue: 2, Min: 7, Max: 9, Committed: 4})
	b.read(rocketmq.ResultMeta{Queue: 1, Offset: 9})
	b.read(rocketmq.ResultMeta{Queue: 0, Offset: 1})
	if b.empty() {
		t.Fatal("empty with two queues unread")
	}
	b.read(rocketmq.ResultMeta{Queue: 0, Offset: 2})
	(*now)[2].Committed = 8
	b.ask(t.Context())
	if b.empty() {
		t.Fatal("empty with one queue unread")
	}
	(*now)[2].Committed = 9
	if err := b.wait(t.Context(), time.Minute); err != nil || !b.empty() {
		t.Errorf("waited with %v", err)
	}
}

// TestBacklog_SeveralBrokers: which broker a result came from is not known, so that only
// offsets count.
func TestBacklog_SeveralBrokers(t *testing.T) {
	t.Parallel()
	b, now := offsetsOf(t,
		rocketmq.QueueOffsets{Broker: "a", Queue: 0, Max: 3}, rocketmq.QueueOffsets{Broker: "b", Queue: 0})
	b.read(rocketmq.ResultMeta{Queue: 0, Offset: 9})
	if b.empty() {
		t.Error("another broker's result ended it")
	}
	(*now)[0].Committed = 3
	b.ask(t.Context())
	if !b.empty() {
		t.Error("it is not empty")
	}
}

// TestBacklog_GivesUp: when nothing comes, and when asked to.
func TestBacklog_GivesUp(t *testing.T) {
	t.Parallel()
	b, _ := offsetsOf(t, rocketmq.QueueOffsets{Broker: "a", Max: 3})
	if err := b.wait(t.Context(), time.Millisecond); err == nil {
		t.Error("no error after a long silence")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.wait(ctx, time.Minute); err != nil {
		t.Errorf("interrupted with %v", err)
	}
	cause := errors.New("no route")
	broken := emptyBacklog(func(context.Context) ([]rocketmq.QueueOffsets, error) { return nil, cause })
	if err := broken.begin(t.Context()); !errors.Is(err, cause) {
		t.Errorf("began with %v", err)
	}
}
