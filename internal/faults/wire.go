package faults

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
	"example.com/payment/internal/remoting"
	"example.com/payment/internal/rocketmq"
)

// Wire is a message as anybody can send it who writes the requests by hand: with a key, an ID or a
// body that no client library would let through.
type Wire struct {
	Key, ID string
	// RetryTopic is another topic, where the message says that it began. A broker writes that, not a
	// sender, and consumers reject it.
	RetryTopic string
	Body       []byte
	// Compressed says that the body is compressed, whether that is true or not.
	Compressed bool
	// Arrives is what consumers get to see, when it is not Body, as far as the quarantine keeps it.
	Arrives []byte
}

// maxKey is how much of a key the quarantine keeps, and maxID how much of an ID consumers look at.
const (
	maxKey = 255
	maxID  = 128
)

// compressedFlag is the bit of a message's sysFlag that makes clients decompress its body.
const compressedFlag = 1

// Wire sends a message with a request of its own, past the client library, and records it like
// every other. What the broker refuses is recorded as failed.
func (r *Rig) Wire(ctx context.Context, w Wire) (Message, error) {
	m := Message{Key: w.Key[:min(len(w.Key), maxKey)], Body: w.Body, ID: w.ID}
	if w.Arrives != nil {
		m.Body = w.Arrives
	}
	if m.ID == "" {
		m.ID = fmt.Sprintf("wire-%s-%d", r.Sender.name, r.Sender.made.Add(1))
	}
	if o, err := order.Decode(w.Key, m.Body, order.DefaultLimits()); err == nil && w.RetryTopic == "" {
		m.Order = &o
	}
	flag := 0
	if w.Compressed {
		flag = compressedFlag
	}
	receipt := rocketmq.Receipt{MessageID: m.ID[:min(len(m.ID), maxID)]}
	answer, err := remoting.Call(ctx, r.Stack.Address(devstack.Broker), remoting.SendMessage,
		map[string]string{
			"producerGroup": "faults-wire", "topic": devstack.OrderTopic, "defaultTopic": "TBW102",
			"defaultTopicQueueNums": "1", "queueId": "0", "sysFlag": strconv.Itoa(flag), "flag": "0",
			"bornTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10),
			"properties": properties("KEYS", w.Key, "TAGS", "pay", "UNIQ_KEY", m.ID,
				"RETRY_TOPIC", w.RetryTopic),
			"reconsumeTimes": "0", "unitMode": "false",
		}, w.Body)
	var refused *remoting.RefusedError
	switch {
	case err == nil:
		receipt.Queue, _ = strconv.Atoi(answer.Header.Fields["queueId"])
		receipt.Offset, _ = strconv.ParseInt(answer.Header.Fields["queueOffset"], 10, 64)
	case !errors.As(err, &refused):
		err = fmt.Errorf("%w: %w", rocketmq.ErrUnknown, err)
	}
	return r.Record.add(m, receipt, err), err
}

// properties are written as the protocol has them. Empty values are left out, as by every client.
func properties(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b.WriteString(pairs[i] + "\x01" + pairs[i+1] + "\x02")
		}
	}
	return b.String()
}
