package rocketmq

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// ResultReaderConfig says which results to read. Zero fields take the defaults named beside them.
type ResultReaderConfig struct {
	// NameServers are host:port. Required.
	NameServers []string
	// AccessKey and SecretKey sign requests; both empty where the brokers ask for none.
	AccessKey, SecretKey string
	// Group names the readers that share the results: each result goes to one of them. A new
	// group starts at the first result that the broker has. Required.
	Group string
	// Topic holds the results. Required.
	Topic string
	// StartAttempts is how often Start tries. Default 8.
	StartAttempts int
}

// readerCached is how many results the client may hold for a reader: they are small.
const readerCached = 8192

// ResultMeta says where a result was read.
type ResultMeta struct {
	MessageID string
	Queue     int
	Offset    int64
	// Attempt is 1 unless the reader failed before.
	Attempt int
	SentAt  time.Time
}

// ResultReader reads result messages, one at a time.
type ResultReader struct {
	consumer *Consumer
	mu       sync.Mutex
	read     func(order.Result, ResultMeta) error
	log      *zap.Logger
}

// NewResultReader makes a reader that does nothing yet. When read returns an error the result
// comes again, later. A message that is not a result is logged and skipped.
func NewResultReader(
	config ResultReaderConfig, read func(order.Result, ResultMeta) error, log *zap.Logger,
) (*ResultReader, error) {
	r := &ResultReader{read: read, log: log}
	consumer, err := NewConsumer(ConsumerConfig{
		NameServers: config.NameServers, AccessKey: config.AccessKey, SecretKey: config.SecretKey,
		Group: config.Group, Topic: config.Topic, StartAttempts: config.StartAttempts,
		Concurrency: 1, MaxCached: readerCached, MaxRedeliveries: Unlimited,
	}, r.handle, log)
	if err != nil {
		return nil, err
	}
	r.consumer = consumer
	return r, nil
}

// Start begins to read; see Consumer.Start.
func (r *ResultReader) Start(ctx context.Context) error { return r.consumer.Start(ctx) }

// Close stops reading; see Consumer.Drain.
func (r *ResultReader) Close(ctx context.Context) error { return r.consumer.Drain(ctx) }

// handle is called by two goroutines, as redeliveries have their own.
func (r *ResultReader) handle(_ context.Context, m payment.Message) payment.Disposition {
	result, err := order.DecodeResult(m.Body)
	if err != nil {
		r.log.Warn("skipped a message that is not a result", zap.Int("queue", m.Queue),
			zap.Int64("offset", m.Offset), zap.Error(err))
		return payment.Acknowledge
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	meta := ResultMeta{
		MessageID: m.ID, Queue: m.Queue, Offset: m.Offset, Attempt: m.Attempt, SentAt: m.BornAt,
	}
	if err := r.read(result, meta); err != nil {
		r.log.Warn("result not taken; it will come again", zap.Error(err))
		return payment.Redeliver
	}
	return payment.Acknowledge
}
