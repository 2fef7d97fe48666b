package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.uber.org/zap"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/tracing"
)

// ResultsConfig says how result messages are sent. Zero fields take the defaults named beside
// them.
type ResultsConfig struct {
	Producer ProducerConfig
	// Topic takes the results. Required.
	Topic string
	// BatchMessages and BatchBytes bound one batch. Defaults 256 and 256 KiB; a broker whose
	// maxMessageSize is smaller refuses a batch, which is then sent in halves.
	BatchMessages, BatchBytes int
	// Workers is how many batches are under way at once. Default 2: what waits meanwhile makes the
	// next batch larger, and a large one costs the broker hardly more than a small one.
	Workers int
	// Waiting is how many results may wait for a batch. Default 8192.
	Waiting int
	// OnSent, if set, is told of each batch: its size, how long its answer took, and its error.
	OnSent func(messages int, took time.Duration, err error)
}

// Defaults and limits of ResultsConfig. The wire adds 22 bytes and the properties to each body.
const (
	defaultBatchMessages = 256
	maxBatchMessages     = 1024
	defaultBatchBytes    = 256 << 10
	maxBatchBytes        = 4 << 20
	defaultWorkers       = 2
	maxWorkers           = 64
	defaultWaiting       = 8192
	maxWaiting           = 1 << 20
	messageOverhead      = 256
)

func (c ResultsConfig) withDefaults() ResultsConfig {
	c.BatchMessages = orDefault(c.BatchMessages, defaultBatchMessages)
	c.BatchBytes = orDefault(c.BatchBytes, defaultBatchBytes)
	c.Workers = orDefault(c.Workers, defaultWorkers)
	c.Waiting = orDefault(c.Waiting, defaultWaiting)
	if c.OnSent == nil {
		c.OnSent = func(int, time.Duration, error) {}
	}
	return c
}

func (c ResultsConfig) check() error {
	if err := checkTopic(c.Topic); err != nil {
		return err
	}
	return errors.Join(
		within("batch messages", c.BatchMessages, 1, maxBatchMessages),
		within("batch bytes", c.BatchBytes, 1<<10, maxBatchBytes),
		within("workers", c.Workers, 1, maxWorkers),
		within("waiting results", c.Waiting, 1, maxWaiting),
	)
}

// Results sends result messages: what waits while one batch is under way goes out as the next.
// A batch is stored whole or not at all. It is safe for concurrent use.
//
// Delivery is at least once: a batch whose answer was lost is sent again, with the same unique
// IDs. Readers tell results apart by the delivery that they answer.
type Results struct {
	config   ResultsConfig
	producer *Producer
	batcher  *idem.Batcher[Outgoing, error]
}

// NewResults makes a publisher. It does not wait for a server: Send does.
func NewResults(config ResultsConfig, log *zap.Logger) (*Results, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	producer, err := NewProducer(config.Producer, log)
	if err != nil {
		return nil, err
	}
	r := &Results{config: config, producer: producer}
	options := idem.BatcherOptions{
		Max: config.BatchMessages, Workers: config.Workers, Waiting: config.Waiting,
	}
	r.batcher = idem.NewBatcher(options, r.publish)
	return r, nil
}

// Send sends one result and returns when a broker has stored it. The error wraps
// idem.ErrUnavailable when waiting may help: no broker, no answer, a topic that is missing or
// takes nothing. The result may then be stored all the same.
func (r *Results) Send(ctx context.Context, result order.Result) error {
	body, err := order.EncodeResult(result)
	if err != nil {
		return fmt.Errorf("rocketmq: encode result: %w", err)
	}
	out := Outgoing{Topic: r.config.Topic, Key: string(result.OrderID), Body: body, ID: NewMessageID()}
	ctx, span := tracing.Child(ctx, "send "+out.Topic, tracing.Producer, out.attributes)
	err = r.send(ctx, out.traced(ctx))
	span.End(errorWord(err))
	return err
}

func (r *Results) send(ctx context.Context, out Outgoing) error {
	if err := r.producer.validate(out); err != nil {
		return err
	}
	sent, err := r.batcher.Do(ctx, out)
	if err != nil {
		return fmt.Errorf("rocketmq: send result: %w", err)
	}
	if sent == nil {
		failpoint.Hit(failpoint.ResultSent)
	}
	return sent
}

// Close sends what is waiting, and closes. Send must not be called any more.
func (r *Results) Close() error {
	r.batcher.Close()
	return r.producer.Close()
}

// publish sends one gathering, in pieces that are each under the limit of bytes.
func (r *Results) publish(ctx context.Context, results []Outgoing) []error {
	answers := make([]error, 0, len(results))
	for len(results) > 0 {
		n, size := 0, 0
		for n < len(results) {
			size += len(results[n].Body) + len(results[n].Key) + messageOverhead
			if n > 0 && size > r.config.BatchBytes {
				break
			}
			n++
		}
		answers = append(answers, r.sendBatch(ctx, results[:n])...)
		results = results[n:]
	}
	return answers
}

// sendBatch sends one batch, and its halves if the broker finds the whole too large.
func (r *Results) sendBatch(ctx context.Context, batch []Outgoing) []error {
	messages := make([]*primitive.Message, len(batch))
	for i, out := range batch {
		messages[i] = clientMessage(out)
	}
	start := time.Now()
	_, err := r.producer.send(ctx, r.config.Topic, messages...)
	r.config.OnSent(len(batch), time.Since(start), err)
	if errors.Is(err, errIllegal) && len(batch) > 1 {
		half := len(batch) / 2
		return append(r.sendBatch(ctx, batch[:half]), r.sendBatch(ctx, batch[half:])...)
	}
	answers := make([]error, len(batch))
	for i := range answers {
		answers[i] = waitable(err)
	}
	return answers
}

// waitable marks every failure but an illegal message as one that may pass.
func waitable(err error) error {
	if err == nil || errors.Is(err, errIllegal) || errors.Is(err, idem.ErrUnavailable) {
		return err
	}
	return unavailable("send results: %w", err)
}
