package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
)

// Handler decides one delivery. The context ends at the handler timeout, and at the deadline of
// a drain. A handler that panics is answered for with a redelivery.
type Handler func(ctx context.Context, m payment.Message) payment.Disposition

// Unlimited, as MaxRedeliveries, delivers a message again for as long as the broker keeps it. Such
// a consumer has no dead letters and needs no topic for them.
const Unlimited = math.MaxInt32

// AnyTag, as Tag, takes every message of the topic.
const AnyTag = "*"

// ConsumerConfig says what to consume and how. Zero fields take the defaults named beside them.
// Three things are not here because there is only one right choice: a group starts at the first
// message, a call is given one message, and the group's members share the queues.
type ConsumerConfig struct {
	// NameServers are host:port. Required.
	NameServers []string
	// AccessKey and SecretKey sign requests; both empty where the brokers ask for none.
	AccessKey, SecretKey string
	// Group names the consumers that share the work. Required.
	Group string
	// Topic is consumed. Required.
	Topic string
	// Tag selects messages within the topic. Default AnyTag.
	Tag string
	// OriginTopics are those that the messages had before they came to Topic, when Topic is
	// another group's dead letters. The client looks for the handler of a redelivered message
	// under the topic where the message began, and without this finds none.
	OriginTopics []string
	// WriteTopics must be there and writable before the consumer starts, as the handler needs
	// them.
	WriteTopics []string
	// Instance names this consumer; it must be unique in the world. Default: host, process,
	// random.
	Instance string
	// Concurrency is how many messages are with the handler at once; as many again may be
	// redeliveries. Default 1024.
	Concurrency int
	// MaxCached is how many messages of a topic the client may hold, those with the handler
	// included: flow control. Default four times the concurrency, and at least 256. Tests under
	// the race detector set the maximum, as the client reads its cache without a lock when it
	// logs that flow control began.
	MaxCached int
	// MaxRedeliveries is how often a message comes again before it becomes a dead letter.
	// Default 16. Zero is not possible: the client would make every first failure a dead letter.
	MaxRedeliveries int
	// HandlerTimeout ends the handler's context: a delivery that waits for what is down must be
	// given back in time. It may last a hundredth longer. Default 2 min.
	HandlerTimeout time.Duration
	// ConsumeTimeout is when the client sends a message back whose handler has not returned,
	// and does not tell the handler. Default 5 min, and at least twice the handler timeout. Tests
	// under the race detector set the maximum, an hour, as the client reads its cache without a
	// lock when it looks for such messages, also after it was shut down.
	ConsumeTimeout time.Duration
	// StartAttempts is how often Start tries. Default 8.
	StartAttempts int
	// StartBackoff is the pause after the first failed attempt; it doubles up to ten times its
	// length. Default 500 ms.
	StartBackoff time.Duration
	// DrainTimeout is how long Drain leaves running handlers alone before it cancels their
	// contexts. Default 20 s.
	DrainTimeout time.Duration
	// CancelGrace is how long Drain then still waits for them. Default 3 s.
	CancelGrace time.Duration
	// Settle is how long Drain lets the client write acknowledgements. Default 300 ms.
	Settle time.Duration
	// WatchInterval is the time between two looks at the broker's offsets. Default 10 s.
	WatchInterval time.Duration
	// Hooks are told what happens; each may be nil, and none may block.
	Hooks Hooks
	// Tracer makes a span of each delivery. Default none; the trace of a message is passed on to
	// the handler's context all the same.
	Tracer *tracing.Tracer
}

// Hooks count what happens in a Consumer.
type Hooks struct {
	// OnPanic is called when a handler has panicked.
	OnPanic func()
	// OnJump is called when messages were passed over: somebody has to hear of it.
	OnJump func(j Jump)
}

// Defaults and limits of ConsumerConfig.
const (
	defaultConcurrency     = 1024
	maxConcurrency         = 8192
	defaultMaxRedeliveries = 16
	defaultHandlerTimeout  = 2 * time.Minute
	defaultConsumeTimeout  = 5 * time.Minute
	defaultStartAttempts   = 8
	maxStartAttempts       = 1000
	defaultStartBackoff    = 500 * time.Millisecond
	defaultDrainTimeout    = 20 * time.Second
	defaultCancelGrace     = 3 * time.Second
	defaultSettle          = 300 * time.Millisecond
	defaultWatchInterval   = 10 * time.Second
)

// What the client pulls at once, and may hold: in messages a few times what the handlers work
// on, so that they do not wait for the next pull.
const (
	pullBatch   = 32
	cacheFactor = 4
	cacheMiB    = 64
	minCached   = 256
	maxCached   = 65535
)

func (c ConsumerConfig) withDefaults() ConsumerConfig {
	c.Tag = orDefault(c.Tag, AnyTag)
	c.Instance = orDefault(c.Instance, UniqueInstance())
	c.Concurrency = orDefault(c.Concurrency, defaultConcurrency)
	c.MaxCached = orDefault(c.MaxCached, min(max(cacheFactor*c.Concurrency, minCached), maxCached))
	c.MaxRedeliveries = orDefault(c.MaxRedeliveries, defaultMaxRedeliveries)
	c.HandlerTimeout = orDefault(c.HandlerTimeout, defaultHandlerTimeout)
	c.ConsumeTimeout = orDefault(c.ConsumeTimeout, max(defaultConsumeTimeout, 2*c.HandlerTimeout))
	c.StartAttempts = orDefault(c.StartAttempts, defaultStartAttempts)
	c.StartBackoff = orDefault(c.StartBackoff, defaultStartBackoff)
	c.DrainTimeout = orDefault(c.DrainTimeout, defaultDrainTimeout)
	c.CancelGrace = orDefault(c.CancelGrace, defaultCancelGrace)
	c.Settle = orDefault(c.Settle, defaultSettle)
	c.WatchInterval = orDefault(c.WatchInterval, defaultWatchInterval)
	return c
}

func (c ConsumerConfig) check() error {
	if err := checkGroup(c.Group); err != nil {
		return err
	}
	if err := checkTopic(c.Topic); err != nil {
		return err
	}
	if strings.ContainsAny(c.Tag, " \t\r\n|") {
		return fmt.Errorf("rocketmq: tag %q: want one tag or %q", bounded(c.Tag), AnyTag)
	}
	if strings.HasPrefix(c.Topic, deadLetterPrefix) && len(c.OriginTopics) == 0 {
		return fmt.Errorf("rocketmq: topic %s: name the topics where its dead letters began, "+
			"or redeliveries of them find no handler", c.Topic)
	}
	return errors.Join(
		within("concurrency", c.Concurrency, 1, maxConcurrency),
		within("cached messages", c.MaxCached, pullBatch, maxCached),
		within("redeliveries", c.MaxRedeliveries, 1, Unlimited),
		within("handler timeout", c.HandlerTimeout, time.Millisecond, 30*time.Minute),
		within("consume timeout", c.ConsumeTimeout, 2*c.HandlerTimeout, time.Hour),
		within("start attempts", c.StartAttempts, 1, maxStartAttempts),
		within("start backoff", c.StartBackoff, time.Millisecond, time.Minute),
		within("drain timeout", c.DrainTimeout, time.Millisecond, 10*time.Minute),
		within("cancel grace", c.CancelGrace, time.Millisecond, time.Minute),
		within("settle time", c.Settle, time.Millisecond, 10*time.Second),
		within("watch interval", c.WatchInterval, 10*time.Millisecond, 10*time.Minute),
	)
}
