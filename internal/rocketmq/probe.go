package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// probeInterval is the time between two sends of a probe.
const probeInterval = 200 * time.Millisecond

// ProbeSend sends a small message to the topic until a broker has stored one: only that shows
// that a broker is ready, as its port is open long before. The topic is for nothing else.
func ProbeSend(ctx context.Context, nameServers []string, topic string) error {
	producer, err := NewProducer(ProducerConfig{
		NameServers: nameServers, Group: "payment-probe", SendTimeout: time.Second, Retries: -1,
	}, zap.NewNop())
	if err != nil {
		return err
	}
	_, err = producer.Send(ctx, Outgoing{Topic: topic, Body: []byte("probe")})
	for err != nil && ctx.Err() == nil {
		sleep(ctx, probeInterval)
		_, err = producer.Send(ctx, Outgoing{Topic: topic, Body: []byte("probe")})
	}
	if err != nil {
		err = fmt.Errorf("rocketmq: probe of topic %s: %w", topic, err)
	}
	return errors.Join(err, producer.Close())
}
