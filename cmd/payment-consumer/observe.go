package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/tracing"
)

// observe counts and logs one delivery. The serial is checked and the message ID is the sender's
// word, which the logger quotes; nothing else of the message is written anywhere.
func (s *service) observe(ctx context.Context, e payment.Event) {
	s.metrics.Observe(e)
	if panicked, ok := errors.AsType[*idem.PanicError](e.Err); ok {
		s.metrics.Panic()
		s.log.Error("the decision panicked", zap.Error(panicked), zap.ByteString("stack", panicked.Stack))
	}
	level := zapcore.DebugLevel
	switch e.Outcome {
	case order.Conflict, order.Rejected, order.Retry:
		level = zapcore.WarnLevel
	case order.Paid, order.Declined, order.Duplicate:
	}
	line := s.log.Check(level, "delivery")
	if line == nil {
		return
	}
	line.Write(
		zap.Stringer("outcome", e.Outcome), zap.String("reason", e.Reason),
		zap.String("decided_by", e.By), zap.String("serial_no", string(e.Serial)),
		zap.String("message_id", e.Message.ID), zap.Int("queue", e.Message.Queue),
		zap.Int64("offset", e.Message.Offset), zap.Int("attempt", e.Message.Attempt),
		zap.Int("retries", e.Retries), zap.Duration("took", e.Took), traceField(ctx), zap.Error(e.Err),
	)
}

// traceField names the delivery's trace, if it has one.
func traceField(ctx context.Context) zap.Field {
	if id := tracing.TraceID(ctx); id != "" {
		return zap.String("trace_id", id)
	}
	return zap.Skip()
}

// sent counts one batch of results.
func (s *service) sent(messages int, took time.Duration, err error) {
	word := ""
	switch {
	case err == nil:
	case errors.Is(err, rocketmq.ErrRefused):
		word = "refused"
	case errors.Is(err, rocketmq.ErrUnknown):
		word = "unknown"
	default:
		word = "unavailable"
	}
	s.metrics.Sent(messages, took, word)
}

func (s *service) jumped(j rocketmq.Jump) {
	s.metrics.Jumped(max(j.To-j.From, j.From-j.To))
	s.log.Error("messages were deleted before they were consumed; see docs/runbooks.md",
		zap.String("topic", j.Topic), zap.String("broker", j.Broker), zap.Int("queue", j.Queue),
		zap.Int64("from", j.From), zap.Int64("to", j.To))
}

func (s *service) cacheHooks() redis.Hooks {
	return redis.Hooks{
		Lookup:  func(result redis.Result, n int) { s.metrics.CacheLookups(string(result), n) },
		Write:   s.metrics.CacheWrites,
		Breaker: func(side redis.Side, open bool) { s.metrics.BreakerOpen(string(side), open) },
	}
}
