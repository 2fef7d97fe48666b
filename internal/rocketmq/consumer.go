package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

// NameServersSetting is the environment variable that error messages point to.
const NameServersSetting = "PAYMENT_ROCKETMQ_NAME_SERVERS"

const (
	accessKeySetting = "PAYMENT_ROCKETMQ_ACCESS_KEY"
	secretKeySetting = "PAYMENT_ROCKETMQ_SECRET_KEY"
)

// pushClient is the part of the client's push consumer that is used here. Not all of it is in the
// client's own interface.
type pushClient interface {
	Start() error
	Shutdown() error
	Suspend()
	PersistConsumerOffset() error
	Subscribe(string, consumer.MessageSelector, listener) error
	Unsubscribe(string) error
}

// client is one client, and what it says of its pulls.
type client struct {
	pushClient
	// pulling counts the queues whose last pull began before a time.
	pulling func(time.Time) int
	// assigned counts the queues that this client reads, by topic. It may ask the broker.
	assigned func() map[string]int
}

type listener = func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// Consumer is one member of a consumer group. It is started once and drained once.
type Consumer struct {
	config  ConsumerConfig
	handler Handler
	admin   *Admin
	log     *zap.Logger

	limits *deadlines // of the handlers
	gate   *gate
	watch  *watcher

	// mu guards client, and lets one of Start and Drain at a time.
	mu      sync.Mutex
	client  *client
	drained bool

	delivered atomic.Int64
	started   atomic.Bool
}

// NewConsumer makes a consumer that does nothing yet.
func NewConsumer(config ConsumerConfig, handler Handler, log *zap.Logger) (*Consumer, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	admin, err := NewAdmin(config.NameServers, config.AccessKey, config.SecretKey)
	if err != nil {
		return nil, err
	}
	return &Consumer{
		config: config, handler: handler, admin: admin, log: log,
		limits: newDeadlines(config.HandlerTimeout), gate: newGate(),
		watch: newWatcher(admin, config, log),
	}, nil
}

// Start checks that everything the consumer needs is there, joins the group and begins to
// deliver. It tries again while servers cannot be reached or topics are missing, and gives up
// after the configured attempts with an error that says what to do. What waiting cannot mend ends
// it at once.
func (c *Consumer) Start(ctx context.Context) error { return StartTogether(ctx, c) }

// StartTogether is Start for the consumers of one program: none of them is given a message before
// what any of them needs is there. The first one's configuration says how often it is tried.
// After an error all of them are still to be drained.
func StartTogether(ctx context.Context, consumers ...*Consumer) error {
	for _, c := range consumers {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.client != nil || c.drained {
			return errors.New("rocketmq: a consumer is started once")
		}
	}
	config, log := consumers[0].config, consumers[0].log
	backoff := idem.Backoff{Min: config.StartBackoff, Max: 10 * config.StartBackoff}
	for attempt := 1; ; attempt++ {
		err := startOnce(ctx, consumers)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errLasting):
			return fmt.Errorf("rocketmq: consumer of topic %s not started: %w", config.Topic, err)
		case attempt == config.StartAttempts || ctx.Err() != nil:
			return fmt.Errorf("rocketmq: consumer of topic %s not started after %d attempts: %w",
				config.Topic, attempt, errors.Join(err, ctx.Err()))
		}
		log.Warn("consumer not started; trying again", zap.Int("attempt", attempt),
			zap.Int("attempts", config.StartAttempts), zap.Error(err))
		backoff.Wait(ctx, attempt)
	}
}

// startOnce makes one attempt. The problems of all consumers are told at once, unless it is that no
// server answers, which is the same for all.
func startOnce(ctx context.Context, consumers []*Consumer) error {
	var problems []error
	for _, c := range consumers {
		err := c.preflight(ctx)
		problems = append(problems, err)
		if errors.Is(err, idem.ErrUnavailable) {
			break
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, c := range consumers {
		if c.client != nil {
			continue // since an earlier attempt
		}
		if err := c.join(ctx); err != nil {
			return err
		}
	}
	return nil
}

// join makes a client and lets it join the group. A client that has failed to start cannot be
// used again, so each attempt has its own, made only after the checks have passed.
func (c *Consumer) join(ctx context.Context) error {
	// Looked at before the client runs: it corrects its offsets where messages are gone, and
	// the correction leaves no trace.
	if err := c.watch.look(ctx); err != nil {
		c.watch.report(err)
	}
	client, err := c.newClient()
	if err != nil {
		return err
	}
	if err := client.Start(); err != nil {
		return unavailable("start client: %w", err)
	}
	if err := c.hearOrigins(client); err != nil {
		return errors.Join(err, client.Shutdown())
	}
	c.client = client
	c.watch.assigned = client.assigned
	c.watch.start()
	c.started.Store(true)
	return nil
}

func (c *Consumer) newClient() (*client, error) {
	push, err := consumer.NewPushConsumer(
		consumer.WithNameServer(clientAddresses(c.config.NameServers)),
		consumer.WithCredentials(clientCredentials(c.admin.creds)),
		consumer.WithGroupName(c.config.Group),
		consumer.WithInstance(c.config.Instance),
		consumer.WithConsumerModel(consumer.Clustering),
		// The default skips every message that was there before the group was.
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
		// One answer counts for a whole batch, so a batch is one message.
		consumer.WithConsumeMessageBatchMaxSize(1),
		consumer.WithConsumeGoroutineNums(c.config.Concurrency),
		consumer.WithPullBatchSize(pullBatch),
		// The client overwrites the threshold per queue; these are the ones that work.
		consumer.WithConsumeConcurrentlyMaxSpan(c.config.MaxCached),
		consumer.WithPullThresholdForTopic(c.config.MaxCached),
		consumer.WithPullThresholdSizeForTopic(cacheMiB),
		consumer.WithMaxReconsumeTimes(int32(c.config.MaxRedeliveries)),
		consumer.WithConsumeTimeout(c.config.ConsumeTimeout),
	)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: make consumer: %w", err)
	}
	selector := consumer.MessageSelector{Type: consumer.TAG, Expression: c.config.Tag}
	if err := push.Subscribe(c.config.Topic, selector, c.deliver); err != nil {
		return nil, fmt.Errorf("rocketmq: subscribe to topic %s: %w", c.config.Topic, err)
	}
	pulling := func(before time.Time) int {
		n := 0
		for _, q := range push.GetConsumerRunningInfo(false).MQTable {
			if q.LastPullTimestamp < before.UnixMilli() {
				n++
			}
		}
		return n
	}
	assigned := func() map[string]int {
		byTopic := map[string]int{}
		for queue, q := range push.GetConsumerRunningInfo(false).MQTable {
			if !q.Dropped {
				byTopic[queue.Topic]++
			}
		}
		return byTopic
	}
	return &client{pushClient: push, pulling: pulling, assigned: assigned}, nil
}

// hearOrigins registers the handler for topics that are not consumed. The client keeps the
// handler when a subscription ends; before the start it would insist on the subscription.
func (c *Consumer) hearOrigins(client *client) error {
	for _, topic := range c.config.OriginTopics {
		selector := consumer.MessageSelector{Type: consumer.TAG, Expression: AnyTag}
		err := errors.Join(client.Subscribe(topic, selector, c.deliver), client.Unsubscribe(topic))
		if err != nil {
			return fmt.Errorf("rocketmq: register for redeliveries of topic %s: %w", topic, err)
		}
	}
	return nil
}

// Started says whether Start has succeeded and Drain has not been called.
func (c *Consumer) Started() bool { return c.started.Load() }

// Assigned counts the queues of its topic that this consumer reads now. None is usual for a while
// after the start, until the members of the group have shared them out again, and for good when
// there are more members than queues.
func (c *Consumer) Assigned() int {
	if !c.Started() {
		return 0
	}
	return c.client.assigned()[c.config.Topic]
}

// Topic is what this consumer reads, besides its group's redeliveries.
func (c *Consumer) Topic() string { return c.config.Topic }

// Stats are counts of the moment, except Delivered, which only grows.
type Stats struct {
	// InFlight deliveries are with the handler.
	InFlight int
	// Parked deliveries came during a drain, and go unanswered to whoever reads the queue next.
	Parked int
	// Delivered counts what the handler was given.
	Delivered int64
	// Backlog counts the messages above the group's committed offsets, at the last look; it is
	// -1 before the first.
	Backlog int64
	// Queues are the group's queues at the last look: of the topic, and of its redeliveries.
	Queues []QueueOffsets
	// Assigned counts the queues that this consumer read at the last look, by topic.
	Assigned map[string]int
}

// Stats returns the counts.
func (c *Consumer) Stats() Stats {
	running, parked := c.gate.counts()
	seen := c.watch.sight()
	return Stats{
		InFlight: running, Parked: parked,
		Delivered: c.delivered.Load(), Backlog: seen.backlog,
		Queues: seen.queues, Assigned: seen.assigned,
	}
}

// Jumped says whether messages were passed over since the start. It stays so until the process
// is restarted or AcknowledgeJumps is called; consumption goes on meanwhile, as standing still
// would bring nothing back.
func (c *Consumer) Jumped() bool { return c.watch.jumped.Load() }
