package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/rocketmq"
)

// Errors as the broker's package gives them.
var (
	errUnknown     = fmt.Errorf("send: %w: timeout", rocketmq.ErrUnknown)
	errRefused     = fmt.Errorf("send: %w: no permission", rocketmq.ErrRefused)
	errUnavailable = fmt.Errorf("send: %w", idem.ErrUnavailable)
)

// TestSender: an unknown send is repeated as the same message, a failed one is not, and what was
// unknown once never counts as failed.
func TestSender(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answers []error
		status  status
		sends   int
	}{
		{"Stored", []error{nil}, acknowledged, 1},
		{"Refused", []error{errRefused, nil}, failed, 1},
		{"Unavailable", []error{errUnavailable, nil}, failed, 1},
		{"UnknownThenStored", []error{errUnknown, nil}, acknowledged, 2},
		{"UnknownThenRefused", []error{errUnknown, errRefused, errRefused, errRefused}, unknown, 4},
		{"UnknownThenDownThenStored", []error{errUnknown, errUnavailable, nil}, acknowledged, 3},
		{"UnknownForEver", []error{errUnknown, errUnknown, errUnknown, errUnknown, nil}, unknown, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := &fakeBroker{answer: func(n int, _ rocketmq.Outgoing) error { return test.answers[n-1] }}
			s := sender{broker: b, topic: "T", tag: "pay", repeats: 3, pause: time.Microsecond}
			d := s.send(t.Context(), "key", "", []byte("body"))
			if d.status != test.status || d.sends != test.sends {
				t.Errorf("%s after %d sends, want %s after %d", d.status, d.sends, test.status, test.sends)
			}
			if (d.err == nil) != (test.status == acknowledged) {
				t.Errorf("error %v", d.err)
			}
			for _, out := range b.sent {
				if out.ID != d.MessageID || out.Key != "key" || string(out.Body) != "body" ||
					out.Topic != "T" || out.Tag != "pay" {
					t.Errorf("sent %+v, and the receipt says %s", out, d.MessageID)
				}
			}
		})
	}
}

// TestSender_Interrupted: an unknown send is reported as that, and not repeated for ever.
func TestSender_Interrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := &fakeBroker{answer: func(int, rocketmq.Outgoing) error { cancel(); return errUnknown }}
	s := sender{broker: b, repeats: 100, pause: time.Hour}
	if d := s.send(ctx, "key", "", []byte("body")); d.status != unknown || d.sends != 1 {
		t.Errorf("%s after %d sends", d.status, d.sends)
	}
}
