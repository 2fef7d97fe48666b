package bench

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/rocketmq"
)

// What topics are like, and how they are filled.
const (
	orderTag  = "pay"
	queues    = 8 // of a topic, unless its mix says otherwise
	fillBatch = 64
	fillers   = 4
)

// fill makes a topic and sends it its messages. It returns when all of them are stored.
func (r *rig) fill(ctx context.Context, m mix) error {
	if err := r.admin.CreateTopic(
		ctx, r.stack.Address(devstack.Broker), m.topic, cmp.Or(m.queues, queues)); err != nil {
		return fmt.Errorf("topic %s: %w", m.topic, err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(fillers)
	for batch := range inBatches(m.messages(), fillBatch) {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return r.producer.SendBatch(groupCtx, batch) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("fill topic %s: %w", m.topic, err)
	}
	return ctx.Err()
}

func inBatches(
	messages iter.Seq[rocketmq.Outgoing], size int,
) iter.Seq[[]rocketmq.Outgoing] {
	return func(yield func([]rocketmq.Outgoing) bool) {
		batch := make([]rocketmq.Outgoing, 0, size)
		for m := range messages {
			if batch = append(batch, m); len(batch) < size {
				continue
			}
			if !yield(batch) {
				return
			}
			batch = make([]rocketmq.Outgoing, 0, size)
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}
