package faults

import (
	"context"
	"fmt"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/rocketmq"
)

// drainLimit is the default of Config.DrainLimit.
const drainLimit = 180 * time.Second

// Settle mends everything, sees to it that a consumer runs, and waits until every message has
// its outcome and its answer. It returns how long that took; a backlog that does not drain
// in time is a violation of I12, and of whatever else the check then finds.
func (r *Rig) Settle(ctx context.Context) (time.Duration, []Violation, error) {
	if err := r.Mend(ctx); err != nil {
		return 0, nil, fmt.Errorf("mend: %w", err)
	}
	begin := time.Now()
	for _, c := range r.Alive() {
		if err := c.Continue(); err != nil {
			return 0, nil, err
		}
	}
	if len(r.Alive()) == 0 {
		if _, err := r.Launch(); err != nil {
			return 0, nil, err
		}
	}
	var missing string
	err := Until(ctx, "the backlog to drain", r.DrainLimit, func() bool {
		missing = r.missing(ctx)
		return missing == ""
	})
	took := time.Since(begin)
	if err != nil && ctx.Err() == nil {
		return took, []Violation{{"I12", fmt.Sprintf("after %v: %s", r.DrainLimit, missing)}}, nil
	}
	return took, nil, err
}

// missing says what is not decided or not answered yet.
func (r *Rig) missing(ctx context.Context) string {
	messages := r.Record.All()
	answered := r.Answers.Answered()
	silent := 0
	for _, m := range messages {
		if m.Status == Acknowledged && m.Valid() && answered[m.ID] == 0 {
			silent++
		}
	}
	if silent > 0 {
		return fmt.Sprintf("%d messages without an answer", silent)
	}
	w, err := r.look(ctx)
	if err != nil {
		return err.Error()
	}
	if lost := w.lost(messages); len(lost) > 0 {
		return fmt.Sprintf("%d messages without an outcome", len(lost))
	}
	return ""
}

// Backlog returns how many messages the consumers have not committed yet, redeliveries included.
// Offsets are committed every five seconds.
func (r *Rig) Backlog(ctx context.Context) (int64, error) {
	var sum int64
	for group, topics := range map[string][]string{
		devstack.ConsumerGroup: {devstack.OrderTopic, rocketmq.RetryTopic(devstack.ConsumerGroup)},
		devstack.DrainerGroup: {
			rocketmq.DeadLetterTopic(devstack.ConsumerGroup), rocketmq.RetryTopic(devstack.DrainerGroup),
		},
	} {
		for _, topic := range topics {
			queues, err := r.Admin.Offsets(ctx, group, topic)
			if err != nil {
				return 0, err
			}
			for _, q := range queues {
				sum += q.Backlog()
			}
		}
	}
	return sum, nil
}
