package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// NoOffset is the committed offset of a group that has committed none.
const NoOffset = -1

// QueueOffsets say where one queue begins and ends, and how far a group has come.
type QueueOffsets struct {
	Topic, Broker string
	Queue         int
	// Min is the first message that the broker still has; Max is one past the last.
	Min, Max int64
	// Committed is the next message that the group wants, or NoOffset.
	Committed int64
}

// Backlog is how many messages the group has not committed.
func (q QueueOffsets) Backlog() int64 {
	return max(0, q.Max-max(q.Committed, q.Min))
}

// Offsets asks the brokers for all queues of a topic. An error may come with a partial answer.
func (a *Admin) Offsets(ctx context.Context, group, topic string) ([]QueueOffsets, error) {
	route, err := a.Route(ctx, topic)
	if err != nil {
		return nil, err
	}
	var all []QueueOffsets
	var failures []error
	for _, b := range route.Brokers {
		if b.Address == "" {
			failures = append(failures, unavailable("broker %s is down", b.Name))
			continue
		}
		queues, err := a.brokerOffsets(ctx, b, group, topic)
		all = append(all, queues...)
		if err != nil {
			failures = append(failures, fmt.Errorf("offsets of topic %s at broker %w", topic, err))
		}
	}
	return all, errors.Join(failures...)
}

func (a *Admin) brokerOffsets(
	ctx context.Context, b RouteBroker, group, topic string,
) ([]QueueOffsets, error) {
	l, err := openLink(ctx, b.Address, a.creds)
	if err != nil {
		return nil, err
	}
	defer l.close()
	queues := make([]QueueOffsets, 0, b.ReadQueues)
	for id := range b.ReadQueues {
		q := QueueOffsets{Topic: topic, Broker: b.Name, Queue: id}
		if err := l.offsets(ctx, group, &q); err != nil {
			return queues, err
		}
		queues = append(queues, q)
	}
	return queues, nil
}

// offsets fills in one queue. The committed offset is read before the end, which only grows: so
// that a committed offset beyond the end is one indeed.
func (l *link) offsets(ctx context.Context, group string, q *QueueOffsets) error {
	queue := map[string]string{"topic": q.Topic, "queueId": strconv.Itoa(q.Queue)}
	committed, err := l.number(ctx, codeQueryCommitted, map[string]string{
		"topic": q.Topic, "queueId": strconv.Itoa(q.Queue), "consumerGroup": group,
		// Without this a broker may answer 0 for a group that it does not know.
		"setZeroIfNotFound": "false",
	})
	if refusedWith(err, respNotFound) {
		committed, err = NoOffset, nil
	}
	if err != nil {
		return err
	}
	q.Committed = committed
	if q.Max, err = l.number(ctx, codeMaxOffset, queue); err != nil {
		return err
	}
	q.Min, err = l.number(ctx, codeMinOffset, queue)
	return err
}

// number asks for one offset.
func (l *link) number(ctx context.Context, code int, fields map[string]string) (int64, error) {
	a, err := l.call(ctx, code, fields, nil)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(a.Header.Fields["offset"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: answer without an offset", l.addr)
	}
	return n, nil
}
