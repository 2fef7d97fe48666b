package rocketmq

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.uber.org/zap"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
)

// deliver is the client's listener. It never returns an error: the client looks at the result
// only, and prints every message that it pulled along with the error.
func (c *Consumer) deliver(
	_ context.Context, messages ...*primitive.MessageExt,
) (consumer.ConsumeResult, error) {
	if len(messages) != 1 || messages[0].Queue == nil {
		c.log.Error("the client gave other than one message", zap.Int("messages", len(messages)))
		return consumer.ConsumeRetryLater, nil
	}
	_ = reserveStack(-1)
	c.watch.seen(*messages[0].Queue, messages[0].QueueOffset)
	if !c.gate.enter() {
		return consumer.ConsumeRetryLater, nil
	}
	defer c.gate.leave()
	m := toMessage(messages[0])
	if m.Defect = c.defect(messages[0]); m.Defect != "" && len(c.config.OriginTopics) > 0 {
		m.Topic = c.config.OriginTopics[0] // and not what the sender says
	}
	return clientResult(c.handle(m)), nil
}

// foreignRetryTopic is the defect of a message that names another topic as the one it began in.
const foreignRetryTopic = "foreign_retry_topic"

// defect finds messages that must not be given back. The client looks for the handler of
// a redelivery under the topic in the property RETRY_TOPIC. The broker sets it, unless the sender
// has: a program that copies all properties of a message does so in good faith.
func (c *Consumer) defect(m *primitive.MessageExt) string {
	began := m.GetProperty(primitive.PropertyRetryTopic)
	if began == "" || began == c.config.Topic || slices.Contains(c.config.OriginTopics, began) {
		return ""
	}
	return foreignRetryTopic
}

// clientResult is the one place that tells the client what to do. The client's zero result
// acknowledges; so everything but a clear Acknowledge falls through to another delivery.
func clientResult(d payment.Disposition) consumer.ConsumeResult {
	if d == payment.Acknowledge {
		return consumer.ConsumeSuccess
	}
	return consumer.ConsumeRetryLater
}

// handle calls the handler. A panic that reached the client would leave the message without an
// answer, and hold the queue's offset until the consume timeout.
func (c *Consumer) handle(m payment.Message) (answer payment.Disposition) {
	c.delivered.Add(1)
	defer func() {
		if p := recover(); p != nil {
			answer = payment.Redeliver
			c.panicked(p, m)
		}
	}()
	failpoint.Hit(failpoint.Received)
	answer = c.process(c.limits.context(), m)
	failpoint.Hit(failpoint.BeforeAcknowledge)
	return answer
}

// panicked reports a panic without its value, which may be made of the message: only the Go
// runtime's own errors are known not to be.
func (c *Consumer) panicked(p any, m payment.Message) {
	what := fmt.Sprintf("%T", p)
	if err, ok := p.(runtime.Error); ok {
		what = err.Error()
	}
	c.log.Error("handler panicked; the message will come again",
		zap.String("panic", bounded(what)), zap.String("message_id", bounded(m.ID)),
		zap.Int("queue", m.Queue), zap.Int64("offset", m.Offset), zap.Int("attempt", m.Attempt),
		zap.ByteString("stack", debug.Stack()))
	if c.config.Hooks.OnPanic != nil {
		c.config.Hooks.OnPanic()
	}
}

// maxID is how much of a message's ID is passed on, in bytes. Producers give IDs of 32, and
// a sender who gives a long one must not get into answers and logs with it.
const maxID = 128

// toMessage takes from the client's message what the handler may know.
func toMessage(m *primitive.MessageExt) payment.Message {
	return payment.Message{
		Topic: originTopic(m),
		Key:   m.GetKeys(),
		// The ID that a producer gave; else that of the first copy; else that of this one.
		ID: cut(cmp.Or(m.GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex),
			m.GetProperty(primitive.PropertyOriginMessageId), m.OffsetMsgId), maxID),
		// The body is a piece of the pulled bytes: nobody may append into its neighbour.
		Body:    slices.Clip(m.Body),
		Broker:  m.Queue.BrokerName,
		Queue:   m.Queue.QueueId,
		Offset:  m.QueueOffset,
		Attempt: int(m.ReconsumeTimes) + 1,
		BornAt:  time.UnixMilli(m.BornTimestamp),
		Trace:   cut(m.GetProperty(tracing.Property), tracing.PropertyLength),
	}
}

// originTopic is where a message began. The client puts it back for redeliveries, but not for
// dead letters. Other topics are taken at their word: anybody can write the property.
func originTopic(m *primitive.MessageExt) string {
	if strings.HasPrefix(m.Topic, deadLetterPrefix) {
		return cmp.Or(m.GetProperty(primitive.PropertyRetryTopic), m.Topic)
	}
	return m.Topic
}
