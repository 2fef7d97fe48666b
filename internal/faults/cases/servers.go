package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

func servers() []faults.Case {
	return []faults.Case{{
		ID: "F2", Title: "consumers are killed at random moments, under load",
		Faults: []string{"kill", "delivered again"}, Run: killConsumers,
	}, {
		ID: "F3", Title: "the database is killed under load, and comes back",
		Faults: []string{"database killed"}, Run: killDatabase,
	}, {
		ID: "F3s", Title: "the database is killed as soon as a payment is seen",
		Faults: []string{"killed as seen"}, Run: killAsSeen,
	}, {
		// Alone, because what a restore takes away is everybody's.
		ID: "F4", Title: "the database is restored to an earlier copy, and Redis keeps its answers",
		Alone: true, Faults: []string{"payment lost", "answer not believed"}, Run: restoreDatabase,
	}, {
		ID: "F5", Title: "Redis is killed under load, and comes back empty",
		Faults: []string{"cache killed"}, Run: killCache,
	}, {
		ID: "F6", Title: "the broker is killed under load; then the name server is gone for a minute",
		Faults: []string{"broker killed", "name server gone"}, Run: killBroker,
	}, {
		ID: "F9", Title: "consumers are told to end, under load",
		Faults: []string{"ended in order"}, Run: endConsumers,
	}, {
		ID: "F10", Title: "handlers panic on one message in a hundred",
		Faults: []string{"panic"}, Run: panicNowAndThen,
	}}
}

// underLoad is what flows while servers come and go.
func underLoad() faults.Mix {
	return faults.Mix{PerSecond: 100, Repeat: 0.2, Alter: 0.02, Hostile: 0.01}
}

// answerable is the same without the messages that nobody answers.
func answerable() faults.Mix {
	mix := underLoad()
	mix.Hostile = 0
	return mix
}

// moment waits for a time that the seed chooses.
func moment(ctx context.Context, r *faults.Rig) {
	d := time.Duration(r.Random.Int64N(int64(3 * time.Second)))
	r.Journal.Plan("%v later", d)
	rest(ctx, d)
}

// rest waits, because it is the length of a fault that counts, and not what happens meanwhile.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

const (
	// atWork is how many consumers share the work while one of them is killed, and randomKills how
	// often that happens.
	atWork      = 3
	randomKills = 12
)

// killConsumers kills one consumer after the other, whatever it is doing, and starts another. Each
// has done work that it has not acknowledged: consumers report how far they have come every 5 s.
func killConsumers(ctx context.Context, r *faults.Rig) error {
	first := len(r.Record.All())
	if _, err := startSome(ctx, r, atWork); err != nil {
		return err
	}
	stop := sync.OnceValue(r.Sender.Background(ctx, underLoad()))
	defer stop()
	for range randomKills {
		victim, err := working(ctx, r)
		if err != nil {
			return err
		}
		moment(ctx, r)
		if err := victim.Kill(); err != nil {
			return err
		}
		if _, err := r.Launch(); err != nil {
			return err
		}
	}
	stop()
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	again := 0
	for _, m := range r.Record.All()[first:] {
		if len(answerers(r, m)) > 1 {
			again++
		}
	}
	r.Journal.FiredTimes("delivered again", again, "two consumers have answered one message")
	return nil
}

// startSome starts so many consumers and waits until all of them are ready.
func startSome(
	ctx context.Context, r *faults.Rig, n int, env ...string,
) ([]*faults.Consumer, error) {
	all := make([]*faults.Consumer, n)
	for i := range all {
		c, err := r.Launch(env...)
		if err != nil {
			return nil, err
		}
		all[i] = c
	}
	return all, awaitReady(ctx, all...)
}

// working draws one of the consumers that have decided something.
func working(ctx context.Context, r *faults.Rig) (drawn *faults.Consumer, err error) {
	err = faults.Until(ctx, "a consumer to work", trafficLimit, func() bool {
		var all []*faults.Consumer
		for _, c := range r.Alive() {
			if n, err := c.Metric(ctx, "payment_decisions_total"); err == nil && n > 0 {
				all = append(all, c)
			}
		}
		if len(all) > 0 {
			drawn = all[r.Random.IntN(len(all))]
		}
		return drawn != nil
	})
	return drawn, err
}

// answerers are the consumers that have answered a message.
func answerers(r *faults.Rig, m faults.Message) map[string]bool {
	all := map[string]bool{}
	for _, a := range r.Answers.Answers(m.ID) {
		all[a.Instance] = true
	}
	return all
}

// serverKills is how often a server is killed.
const serverKills = 4

// killDatabase kills the database whatever it is doing, and wants messages to be held until it is
// back: none is given back to the broker, where a few outages would make it a dead letter.
func killDatabase(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2)
	if err != nil {
		return err
	}
	return nothingGivenBack(ctx, r, func() error {
		stop := sync.OnceValue(r.Sender.Background(ctx, underLoad()))
		defer stop()
		for range serverKills {
			if err := payments(ctx, r); err != nil {
				return err
			}
			moment(ctx, r)
			if err := r.Stack.Kill(devstack.MySQL); err != nil {
				return err
			}
			if err := awaitUnready(ctx, consumers...); err != nil {
				return err
			}
			r.Journal.Fired("database killed", "no consumer is ready")
			moment(ctx, r)
			if err := r.Stack.Restart(ctx, devstack.MySQL); err != nil {
				return err
			}
			if err := awaitReady(ctx, consumers...); err != nil {
				return err
			}
		}
		stop()
		return allAnswered(ctx, r)
	})
}

// payments waits until somebody has paid something more.
func payments(ctx context.Context, r *faults.Rig) error {
	before := decisions(ctx, r, `outcome="paid"`)
	return faults.Until(ctx, "a payment", trafficLimit, func() bool {
		return decisions(ctx, r, `outcome="paid"`) > before
	})
}

// killCache kills Redis. Orders are paid without it, by consumers that are ready all along; what
// it knew is found in the database; and it is used again.
func killCache(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	return readyAllAlong(ctx, c, func() error {
		stop := r.Sender.Background(ctx, answerable())
		defer stop()
		for range serverKills {
			if err := loseCache(ctx, r, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func loseCache(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	known := newOrders(r, batchSize)
	messages := sendTogether(ctx, r, known...)
	if err := awaitAnswers(ctx, r, "orders that Redis will know", messages...); err != nil {
		return err
	}
	moment(ctx, r)
	if err := r.Stack.Kill(devstack.Redis); err != nil {
		return err
	}
	if err := paidMeanwhile(ctx, r, "orders without Redis"); err != nil {
		return err
	}
	if err := breaker(ctx, c, 1); err != nil {
		return err
	}
	if err := comeBackEmpty(ctx, r); err != nil {
		return err
	}
	for _, m := range sendTogether(ctx, r, known...) {
		got, err := firstAnswer(ctx, r, m)
		if err != nil {
			return err
		}
		if got.Outcome != order.Duplicate || got.DecidedBy == "cache" {
			return fmt.Errorf("a repeat, forgotten by Redis, was %s by %s", got.Outcome, got.DecidedBy)
		}
	}
	return errors.Join(cacheInUse(ctx, r, c), breaker(ctx, c, 0))
}

// breaker waits until the consumer leaves Redis alone (1), or asks it again (0).
func breaker(ctx context.Context, c *faults.Consumer, want float64) error {
	return faults.Until(ctx, fmt.Sprint("the breaker to be ", want), trafficLimit, func() bool {
		open, err := c.Metric(ctx, "payment_cache_breaker_open", `side="lookups"`)
		return err == nil && open == want
	})
}

// comeBackEmpty starts Redis again and looks into it before anybody can write.
func comeBackEmpty(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Cache.Down(); err != nil {
		return err
	}
	if err := r.Stack.Restart(ctx, devstack.Redis); err != nil {
		return err
	}
	keys, err := r.Redis.DBSize(ctx).Result()
	if err == nil && keys > 0 {
		err = fmt.Errorf("redis has kept %d keys over a kill -9", keys)
	}
	if err != nil {
		return err
	}
	r.Journal.Fired("cache killed", "it is back with no key")
	return r.Cache.Up()
}
