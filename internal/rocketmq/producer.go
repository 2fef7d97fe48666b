package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/tracing"
)

// Errors of a send, besides idem.ErrUnavailable: no broker could be reached, nothing was sent.
var (
	// ErrUnknown: the message may be stored, and it may not. Send it again, unchanged.
	ErrUnknown = errors.New("rocketmq: not known whether the message is stored")
	// ErrRefused: the broker said no; the message is not stored.
	ErrRefused = errors.New("rocketmq: refused by the broker")
	// ErrInvalid: the message cannot be sent as it is; nothing was sent.
	ErrInvalid = errors.New("rocketmq: invalid message")
)

// ProducerConfig says how to send. Zero fields take the defaults named beside them.
type ProducerConfig struct {
	// NameServers are host:port. Required.
	NameServers []string
	// AccessKey and SecretKey sign requests; both empty where the brokers ask for none.
	AccessKey, SecretKey string
	// Group names this kind of producer at the broker. Required.
	Group string
	// Instance names this one; it must be unique in the world. Default: host, process, random.
	Instance string
	// SendTimeout bounds one attempt. Default 3 s.
	SendTimeout time.Duration
	// Retries is how often a failed attempt is repeated, with the same unique ID, so that the
	// broker may store it more than once. Default 2; -1 means none.
	Retries int
	// MaxBodyBytes bounds a message's body. Default 64 KiB.
	MaxBodyBytes int
	// Tracer makes a span of each Send, whose context goes with the message. Default none.
	Tracer *tracing.Tracer
}

// Defaults and limits of ProducerConfig.
const (
	defaultSendTimeout = 3 * time.Second
	defaultRetries     = 2
	defaultMaxBody     = 64 << 10
	maxRetries         = 10
	maxMaxBody         = 4 << 20
)

func (c ProducerConfig) withDefaults() ProducerConfig {
	c.Instance = orDefault(c.Instance, UniqueInstance())
	c.SendTimeout = orDefault(c.SendTimeout, defaultSendTimeout)
	c.Retries = orDefault(c.Retries, defaultRetries)
	c.Retries = max(c.Retries, 0)
	c.MaxBodyBytes = orDefault(c.MaxBodyBytes, defaultMaxBody)
	return c
}

func (c ProducerConfig) check() error {
	if err := checkGroup(c.Group); err != nil {
		return err
	}
	return errors.Join(
		within("send timeout", c.SendTimeout, 100*time.Millisecond, time.Minute),
		within("retries", c.Retries, 0, maxRetries),
		within("maximum body", c.MaxBodyBytes, 1, maxMaxBody),
	)
}

// Outgoing is one message to send.
type Outgoing struct {
	Topic, Tag, Key string
	Body            []byte
	// Properties travel with the message. Names are lower-case letters, digits, '_', '.', '-'.
	Properties map[string]string
	// ID is the message's unique ID; empty for a new message. To send the same message once
	// more, put the ID of the first send's Receipt here: a new ID makes it another message.
	ID string
}

// Receipt says where a message was stored. MessageID is set whatever the result of the send.
type Receipt struct {
	MessageID string
	Broker    string
	Queue     int
	Offset    int64
}

// Producer sends messages. It is safe for concurrent use.
type Producer struct {
	config ProducerConfig
	admin  *Admin
	client rmq.Producer
	log    *zap.Logger

	// mu is held for reading by each send, so that Close waits for them.
	mu     sync.RWMutex
	closed bool
	// routed holds the topics that were found once; from then on the client keeps their routes.
	routed sync.Map
}

// NewProducer makes a producer. It does not wait for a server: a send does.
func NewProducer(config ProducerConfig, log *zap.Logger) (*Producer, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	admin, err := NewAdmin(config.NameServers, config.AccessKey, config.SecretKey)
	if err != nil {
		return nil, err
	}
	client, err := producer.NewDefaultProducer(
		producer.WithNameServer(clientAddresses(config.NameServers)),
		producer.WithCredentials(clientCredentials(admin.creds)),
		producer.WithGroupName(config.Group),
		producer.WithInstanceName(config.Instance),
		producer.WithSendMsgTimeout(config.SendTimeout),
		// The client's own retries hide whether an earlier attempt was sent; ours do not.
		producer.WithRetry(0),
		// With the default key the client makes up a route for a topic that does not exist.
		producer.WithCreateTopicKey(""),
		// Bodies are small, and the consumer unpacks them before anybody sees their size.
		producer.WithCompressMsgBodyOverHowmuch(math.MaxInt),
	)
	if err != nil {
		return nil, fmt.Errorf("rocketmq: make producer: %w", err)
	}
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("rocketmq: start producer: %w", err)
	}
	return &Producer{config: config, admin: admin, client: client, log: log}, nil
}

// Send sends one message and returns when the broker has stored it as safely as its
// configuration says. The error wraps ErrUnknown when the message may be stored all the same,
// and otherwise it is not stored: idem.ErrUnavailable, ErrRefused, ErrInvalid, or the context's
// error, which is looked at between attempts but does not cut one short.
func (p *Producer) Send(ctx context.Context, out Outgoing) (Receipt, error) {
	out.ID = orDefault(out.ID, NewMessageID())
	ctx, span := p.config.Tracer.Start(ctx, "send "+out.Topic, tracing.Producer, out.attributes)
	receipt, err := p.sendOne(ctx, out.traced(ctx))
	span.Set(tracing.Attributes{
		"messaging.destination.partition.id": partition(receipt.Broker, receipt.Queue),
	})
	span.End(errorWord(err))
	return receipt, err
}

func (p *Producer) sendOne(ctx context.Context, out Outgoing) (Receipt, error) {
	receipt := Receipt{MessageID: out.ID}
	if err := p.validate(out); err != nil {
		return receipt, err
	}
	result, err := p.send(ctx, out.Topic, clientMessage(out))
	if err != nil {
		return receipt, fmt.Errorf("send to topic %s: %w", out.Topic, err)
	}
	receipt.Broker = result.MessageQueue.BrokerName
	receipt.Queue = result.MessageQueue.QueueId
	receipt.Offset = result.QueueOffset
	return receipt, nil
}

// SendBatch sends messages of one topic at once, for bulk loads: the broker stores all of them, in
// one queue, or none. Together they must be below the broker's limit for one message. The error is
// one of those that Send returns, and holds for all.
func (p *Producer) SendBatch(ctx context.Context, batch []Outgoing) error {
	messages := make([]*primitive.Message, len(batch))
	for i, out := range batch {
		out.ID = orDefault(out.ID, NewMessageID())
		if err := p.validate(out); err != nil {
			return err
		}
		if out.Topic != batch[0].Topic {
			return fmt.Errorf("%w: a batch is for one topic", ErrInvalid)
		}
		messages[i] = clientMessage(out)
	}
	if len(messages) == 0 {
		return nil
	}
	if _, err := p.send(ctx, batch[0].Topic, messages...); err != nil {
		return fmt.Errorf("send %d messages to topic %s: %w", len(batch), batch[0].Topic, err)
	}
	return nil
}

// Close waits for the sends that are under way, at most the time of their attempts, and closes.
func (p *Producer) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	return p.client.Shutdown()
}

// send makes the attempts. Several messages go out as one batch, stored whole or not at all.
func (p *Producer) send(
	ctx context.Context, topic string, messages ...*primitive.Message,
) (*primitive.SendResult, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil, unavailable("the producer is closed")
	}
	var last error
	maybeStored := false
	for attempt := range 1 + p.config.Retries {
		if err := p.pause(ctx, attempt); err != nil {
			last = errors.Join(last, err)
			break
		}
		result, err := p.attempt(ctx, topic, messages)
		if err == nil {
			return result, nil
		}
		last = err
		maybeStored = maybeStored || errors.Is(err, ErrUnknown)
		if errors.Is(err, errIllegal) {
			break
		}
	}
	if maybeStored && !errors.Is(last, ErrUnknown) {
		// What is known of the last attempt says nothing about the first.
		return nil, fmt.Errorf("%w: an earlier attempt got no answer; then: %s",
			ErrUnknown, bounded(last.Error()))
	}
	return nil, last
}

// pause waits a little before a repetition, and refuses to start after the context has ended.
func (p *Producer) pause(ctx context.Context, attempt int) error {
	if attempt > 0 {
		idem.Backoff{Min: 100 * time.Millisecond, Max: time.Second}.Wait(ctx, attempt)
	}
	return ctx.Err()
}

// attempt transmits once. The client transmits even when the context is over, and then calls
// it a timeout; so the context stays out of it.
func (p *Producer) attempt(
	ctx context.Context, topic string, messages []*primitive.Message,
) (*primitive.SendResult, error) {
	if err := p.findRoute(ctx, topic); err != nil {
		return nil, err
	}
	result, err := p.client.SendSync(context.WithoutCancel(ctx), messages...)
	return result, classify(result, err)
}

// findRoute asks for a topic's route before its first message. The client would hold one lock
// for all senders while it asks, and does not say why it found none.
func (p *Producer) findRoute(ctx context.Context, topic string) error {
	if _, ok := p.routed.Load(topic); ok {
		return nil
	}
	route, err := p.admin.Route(ctx, topic)
	if errors.Is(err, ErrNoTopic) {
		return unavailable("%w", err)
	}
	if err != nil {
		return err
	}
	if !route.Writable() {
		return unavailable("no broker takes messages for topic %s", topic)
	}
	p.routed.Store(topic, struct{}{})
	return nil
}
