package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/rocketmq"
)

// status is what became of a message.
type status string

const (
	// acknowledged: the broker has said that the message is stored.
	acknowledged status = "acknowledged"
	// failed: the message is not stored.
	failed status = "failed"
	// unknown: nobody can say. Only the same serial number may be sent again.
	unknown status = "unknown"
	// sending: the message is about to be sent. Only a journal says this.
	sending status = "sending"
)

// Pauses before a message is sent again: the first, doubled each time up to the longest.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// sender sends messages, and goes on until it is known what became of them or its patience ends.
type sender struct {
	broker     broker
	topic, tag string
	// repeats is how often a message of unknown result is sent again.
	repeats int
	pause   time.Duration
}

// delivery says what became of one message.
type delivery struct {
	rocketmq.Receipt
	status status
	// sends is how often the message was sent; each has the attempts of the settings.
	sends int
	err   error
}

// send sends one message with its Key. The ID is empty for a new message. From the first send
// that may have stored it, it is repeated under one ID, so that it stays one message, and it
// never counts as failed: a later refusal says nothing about the earlier send. When the context
// ends, what is under way is finished and nothing is repeated.
func (s *sender) send(ctx context.Context, key, id string, body []byte) delivery {
	out := rocketmq.Outgoing{Topic: s.topic, Tag: s.tag, Key: key, Body: body, ID: id}
	d := delivery{status: failed}
	for {
		d.Receipt, d.err = s.broker.Send(ctx, out)
		d.sends++
		if d.err == nil {
			d.status = acknowledged
			return d
		}
		if errors.Is(d.err, rocketmq.ErrUnknown) {
			d.status = unknown
		}
		if d.status == failed || d.sends > s.repeats || !s.backoff().Wait(ctx, d.sends) {
			return d
		}
		out.ID = d.MessageID
	}
}

func (s *sender) backoff() idem.Backoff {
	return idem.Backoff{Min: s.pause, Max: max(s.pause, longestPause)}
}

// oneLine is the text of an error that may have several.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
