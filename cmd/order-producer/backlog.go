package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/config"
	"example.com/payment/internal/rocketmq"
)

// How often a backlog is looked at, and how often the broker is asked about it.
const (
	lookEvery = 100 * time.Millisecond
	askEvery  = time.Second
)

// backlog is what a group had not read when it was asked for: results that come later are not
// part of it. It is safe for concurrent use.
type backlog struct {
	// offsets asks the broker how far the group is.
	offsets func(ctx context.Context) ([]rocketmq.QueueOffsets, error)

	mu      sync.Mutex
	left    map[queue]int64 // where each queue with a backlog ended
	brokers map[string]bool // all that have queues of the topic
	last    time.Time       // when something was read
}

// queue names one queue of the topic.
type queue struct {
	broker string
	id     int
}

func newBacklog(ctx context.Context, cfg config.Producer, group string) (*backlog, error) {
	admin, err := newAdmin(cfg)
	if err != nil {
		return nil, err
	}
	b := emptyBacklog(func(ctx context.Context) ([]rocketmq.QueueOffsets, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		return admin.Offsets(ctx, group, cfg.RocketMQ.ResultTopic)
	})
	return b, b.begin(ctx)
}

func emptyBacklog(
	offsets func(ctx context.Context) ([]rocketmq.QueueOffsets, error),
) *backlog {
	return &backlog{offsets: offsets, left: map[queue]int64{}, brokers: map[string]bool{}}
}

// begin notes what is unread now.
func (b *backlog) begin(ctx context.Context) error {
	offsets, err := b.offsets(ctx)
	if err != nil {
		return err
	}
	for _, q := range offsets {
		b.brokers[q.Broker] = true
		if q.Backlog() > 0 {
			b.left[queue{q.Broker, q.Queue}] = q.Max
		}
	}
	return nil
}

func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.left) == 0
}

// read is told of each result that was read. It does not say which broker the result came from:
// where there are several, only the committed offsets tell.
func (b *backlog) read(m rocketmq.ResultMeta) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = time.Now()
	if len(b.brokers) > 1 {
		return
	}
	for q, end := range b.left {
		if q.id == m.Queue && m.Offset+1 >= end {
			delete(b.left, q)
		}
	}
}

// ask takes off what the group has committed, which includes what others read and what was no
// result.
func (b *backlog) ask(ctx context.Context) {
	offsets, err := b.offsets(ctx)
	if err != nil {
		return // the next time, or patience, will tell
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range offsets {
		key := queue{q.Broker, q.Queue}
		if end, waiting := b.left[key]; waiting && q.Committed >= end {
			delete(b.left, key)
		}
	}
}

// wait returns when the backlog is read, or the context ends. It is an error when nothing was
// read for too long.
func (b *backlog) wait(ctx context.Context, patience time.Duration) error {
	b.mu.Lock()
	b.last = time.Now()
	b.mu.Unlock()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for !b.empty() {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-ask.C:
			b.ask(ctx)
		}
		if silent := b.silence(); silent > patience {
			return fmt.Errorf("no result came for %v, and some are left (is another reader of the "+
				"group stuck?)", silent.Round(time.Second))
		}
	}
	return nil
}

func (b *backlog) silence() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Since(b.last)
}
