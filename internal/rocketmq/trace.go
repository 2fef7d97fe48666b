package rocketmq

import (
	"context"
	"errors"
	"maps"
	"strconv"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
)

// attributes describe a message that is sent, by OpenTelemetry's conventions for messaging.
func (out Outgoing) attributes() tracing.Attributes {
	return tracing.Attributes{
		"messaging.system":                "rocketmq",
		"messaging.operation.name":        "send",
		"messaging.operation.type":        "send",
		"messaging.destination.name":      out.Topic,
		"messaging.message.id":            out.ID,
		"messaging.message.body.size":     len(out.Body),
		"messaging.rocketmq.message.keys": out.Key,
		"messaging.rocketmq.message.tag":  out.Tag,
	}
}

// traced is the message with the trace of a context, if that belongs to one.
func (out Outgoing) traced(ctx context.Context) Outgoing {
	trace := tracing.Inject(ctx)
	if trace == "" {
		return out
	}
	properties := map[string]string{tracing.Property: trace}
	maps.Copy(properties, out.Properties)
	out.Properties = properties
	return out
}

// partition names a queue, which is one of a broker's.
func partition(broker string, queue int) string {
	if broker == "" {
		return ""
	}
	return broker + ":" + strconv.Itoa(queue)
}

// errorWord is the error type of a send.
func errorWord(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrUnknown):
		return "unknown"
	case errors.Is(err, ErrInvalid):
		return "invalid"
	case errors.Is(err, idem.ErrUnavailable):
		return "unavailable"
	default:
		return "other"
	}
}

// process calls the handler in a span of its own, under the trace that came with the message.
func (c *Consumer) process(ctx context.Context, m payment.Message) payment.Disposition {
	ctx, span := c.config.Tracer.Start(tracing.Extract(ctx, m.Trace), "process "+m.Topic,
		tracing.Consumer, func() tracing.Attributes { return received(m, c.config.Group) })
	word := "panic" // unless the handler returns
	defer func() { span.End(word) }()
	disposition := c.handler(ctx, m)
	word = ""
	if disposition != payment.Acknowledge {
		word = "redelivered"
	}
	return disposition
}

func received(m payment.Message, group string) tracing.Attributes {
	return tracing.Attributes{
		"messaging.system":                     "rocketmq",
		"messaging.operation.name":             "process",
		"messaging.operation.type":             "process",
		"messaging.destination.name":           m.Topic,
		"messaging.destination.partition.id":   partition(m.Broker, m.Queue),
		"messaging.message.id":                 m.ID,
		"messaging.message.body.size":          len(m.Body),
		"messaging.consumer.group.name":        group,
		"messaging.rocketmq.message.keys":      cut(m.Key, maxID),
		"messaging.rocketmq.consumption_model": "clustering",
		"payment.delivery.attempt":             m.Attempt,
	}
}
