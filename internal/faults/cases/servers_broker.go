package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
)

// brokerKills is how often the broker is killed. After each it takes up to half a minute until
// clients have noticed that what they wait for will not come.
const brokerKills = 3

// killBroker kills the broker whatever it is doing. Payments whose result cannot be sent are held
// meanwhile, and what a sender was told is stored is still there. Then the name server goes away.
func killBroker(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2)
	if err != nil {
		return err
	}
	err = nothingGivenBack(ctx, r, func() error {
		stop := sync.OnceValue(r.Sender.Background(ctx, underLoad()))
		defer stop()
		for range brokerKills {
			if err := loseBroker(ctx, r); err != nil {
				return err
			}
		}
		stop()
		return allAnswered(ctx, r)
	})
	if err != nil {
		return err
	}
	return loseNameServer(ctx, r, consumers[0])
}

// loseBroker kills the broker while payments are made, and starts it again when senders have
// noticed.
func loseBroker(ctx context.Context, r *faults.Rig) error {
	if err := payments(ctx, r); err != nil {
		return err
	}
	moment(ctx, r)
	before := unsure(r)
	if err := r.Stack.Kill(devstack.Broker); err != nil {
		return err
	}
	if err := faults.Until(ctx, "sends to fail", trafficLimit, func() bool {
		return unsure(r) > before
	}); err != nil {
		return err
	}
	r.Journal.Fired("broker killed", "sends have failed")
	moment(ctx, r)
	if err := r.Stack.Restart(ctx, devstack.Broker); err != nil {
		return err
	}
	_, err := firstAnswer(ctx, r, r.Sender.Send(ctx, r.Sender.Order()))
	return err
}

// unsure counts the sends that the broker has not acknowledged.
func unsure(r *faults.Rig) int {
	counts := r.Record.Count()
	return counts[faults.Failed] + counts[faults.Unknown]
}

// awayFor is how long the name server is gone: two rounds of the clients, who ask it every 30 s.
const awayFor = time.Minute

// loseNameServer takes the name server away. Whoever knows the broker goes on as before; a
// consumer that starts meanwhile waits for it.
func loseNameServer(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	if err := r.Stack.Kill(devstack.NameServer); err != nil {
		return err
	}
	begin := time.Now()
	err := readyAllAlong(ctx, c, func() error {
		for time.Since(begin) < awayFor && ctx.Err() == nil {
			before := r.Record.Count()[faults.Acknowledged]
			if err := paidMeanwhile(ctx, r, "orders without a name server"); err != nil {
				return err
			}
			if r.Record.Count()[faults.Acknowledged] == before {
				return errors.New("nobody can send anything without a name server")
			}
			rest(ctx, 2*time.Second)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if err := faults.Until(ctx, "a consumer to miss the name server", trafficLimit, func() bool {
		return c.Says("offsets cannot be read")
	}); err != nil {
		return err
	}
	r.Journal.Fired("name server gone", "a consumer cannot read offsets")
	late, err := r.Launch("PAYMENT_ROCKETMQ_START_ATTEMPTS=1000")
	if err != nil {
		return err
	}
	if err := faults.Until(ctx, "a consumer to wait for the name server", trafficLimit, func() bool {
		return late.Says("consumer not started; trying again")
	}); err != nil {
		return err
	}
	if err := r.Stack.Restart(ctx, devstack.NameServer); err != nil {
		return err
	}
	if err := late.AwaitReady(ctx); err != nil {
		return fmt.Errorf("after the name server came back: %w", err)
	}
	return paidMeanwhile(ctx, r, "orders with a new name server")
}
