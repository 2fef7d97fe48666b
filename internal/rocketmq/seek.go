package rocketmq

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// Seek sets a group's committed offsets: in each queue it goes on at Committed, so that its
// consumers are delivered what comes after, again if need be. A group that a broker does not know
// is made, with the broker's own defaults. No consumer of the group may run meanwhile: one that
// does reports its own offsets a few seconds later.
func (a *Admin) Seek(ctx context.Context, group string, queues []QueueOffsets) error {
	addresses := map[string]string{}
	for _, q := range queues {
		if addresses[q.Broker] != "" {
			continue
		}
		route, err := a.Route(ctx, q.Topic)
		if err != nil {
			return err
		}
		for _, b := range route.Brokers {
			addresses[b.Name] = b.Address
		}
		if addresses[q.Broker] == "" {
			return unavailable("broker %s is down", q.Broker)
		}
	}
	for _, q := range queues {
		err := a.seek(ctx, addresses[q.Broker], group, q)
		if refusedWith(err, respGroupNotExist) {
			if err = a.createGroup(ctx, addresses[q.Broker], group); err == nil {
				err = a.seek(ctx, addresses[q.Broker], group, q)
			}
		}
		if err != nil {
			return fmt.Errorf("set the offsets of group %s in topic %s at broker %w",
				group, q.Topic, err)
		}
	}
	return nil
}

func (a *Admin) seek(ctx context.Context, addr, group string, q QueueOffsets) error {
	_, err := a.ask(ctx, addr, codeUpdateCommitted, map[string]string{
		"consumerGroup": group, "topic": q.Topic, "queueId": strconv.Itoa(q.Queue),
		"commitOffset": strconv.FormatInt(q.Committed, 10),
	})
	return err
}

// createGroup makes a group as a broker does for a consumer that it does not know. What is not
// said has the broker's default.
func (a *Admin) createGroup(ctx context.Context, addr, group string) error {
	l, err := openLink(ctx, addr, a.creds)
	if err != nil {
		return err
	}
	defer l.close()
	body, err := json.Marshal(map[string]string{"groupName": group})
	if err != nil {
		return err
	}
	_, err = l.call(ctx, codeUpdateGroup, nil, body)
	return err
}
