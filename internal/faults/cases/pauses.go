package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/remoting"
	"example.com/payment/internal/rocketmq"
)

// How long servers stand still.
const (
	databasePause = 30 * time.Second
	cachePause    = 30 * time.Second
	brokerPause   = 60 * time.Second
)

func pauses() []faults.Case {
	return []faults.Case{{
		ID: "F14", Title: "a consumer stops inside a transaction on the hot account, and goes on later",
		Faults: []string{"lock held by a stopped consumer", "queues taken over", "late work"},
		Run:    stopConsumer,
	}, {
		ID: "F16", Title: "the database stands still for 30 s",
		Faults: []string{"database paused"}, Run: pauseDatabase,
	}, {
		ID: "F17", Title: "Redis stands still for 30 s",
		Faults: []string{"cache paused"}, Run: pauseCache,
	}, {
		ID: "F18", Title: "the broker stands still for 60 s",
		Faults: []string{"broker paused"}, Run: pauseBroker,
	}, {
		ID: "F19", Title: "handlers are slower than the consume timeout",
		Faults: []string{"slow handler", "given back while it was handled"}, Run: slowHandlers,
	}}
}

// pausedOrders is how many orders are sent to consumers that cannot pay them.
const pausedOrders = 200

// pauseDatabase stops the database in the middle of whatever it does. Its connections stay open
// and say nothing. Messages are held, and what was held is paid by its first delivery.
func pauseDatabase(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2)
	if err != nil {
		return err
	}
	return nothingGivenBack(ctx, r, func() error {
		first := len(r.Record.All())
		stop := r.Sender.Background(ctx, answerable())
		if err := errors.Join(payments(ctx, r), r.Stack.Pause(devstack.MySQL)); err != nil {
			stop()
			return err
		}
		begin := time.Now()
		stop()
		r.Sender.Load(ctx, faults.Usual(pausedOrders))
		if err := heldUntil(ctx, begin.Add(databasePause), consumers...); err != nil {
			return err
		}
		if !slices.ContainsFunc(consumers, func(c *faults.Consumer) bool {
			return c.Says(`"holding all messages until it comes back","dependency":"database"`)
		}) {
			return errors.New("no consumer says that it holds its messages")
		}
		r.Journal.Fired("database paused", "no consumer was ready until the end")
		if err := r.Stack.Continue(devstack.MySQL); err != nil {
			return err
		}
		if err := awaitReady(ctx, consumers...); err != nil {
			return err
		}
		return firstDeliveries(ctx, r, r.Record.All()[first:])
	})
}

// pauseCache stops Redis. A lookup gives up after 100 ms and, after a few, lookups are not tried
// any more; so orders are paid through the database, and cost little more than without a cache.
func pauseCache(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	if err := cacheInUse(ctx, r, c); err != nil {
		return err
	}
	cost := func() (float64, error) {
		return metric(ctx, c, "payment_step_duration_seconds_sum", `step="cache"`)
	}
	before, err := cost()
	if err != nil {
		return err
	}
	err = readyAllAlong(ctx, c, func() error {
		if err := r.Stack.Pause(devstack.Redis); err != nil {
			return err
		}
		begin := time.Now()
		for time.Since(begin) < cachePause && ctx.Err() == nil {
			if err := paidMeanwhile(ctx, r, "orders while Redis stands still"); err != nil {
				return err
			}
			rest(ctx, 2*time.Second)
		}
		return breaker(ctx, c, 1)
	})
	if err != nil {
		return err
	}
	r.Journal.Fired("cache paused", "the consumer leaves it alone")
	after, err := cost()
	if err != nil {
		return err
	}
	r.Say("lookups have cost %.1f s while Redis stood still for %v", after-before, cachePause)
	// At most one lookup in a second is tried. Without a budget and a breaker there would be one
	// committer or the other waiting all the time.
	if limit := cachePause.Seconds() / 2; after-before > limit {
		return fmt.Errorf("lookups have cost %.1f s, want less than %.0f", after-before, limit)
	}
	if err := r.Stack.Continue(devstack.Redis); err != nil {
		return err
	}
	return errors.Join(cacheInUse(ctx, r, c), breaker(ctx, c, 0))
}

// pauseBroker stops the broker between the payments and their answers. What is paid stays paid,
// the answers are held, and what was held is answered by its first delivery.
func pauseBroker(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx, patientEnv)
	if err != nil {
		return err
	}
	return nothingGivenBack(ctx, r, func() error {
		first := len(r.Record.All())
		stop := sync.OnceValue(r.Sender.Background(ctx, answerable()))
		defer stop()
		begin, err := pauseBeforeAnswers(ctx, r)
		if err != nil {
			return err
		}
		sent := r.Record.All()[first:]
		if err := faults.Until(ctx, "a payment while the broker stands still", soon, func() bool {
			return slices.ContainsFunc(sent, func(m faults.Message) bool {
				return inDatabase(ctx, r, *m.Order)
			})
		}); err != nil {
			return err
		}
		if err := heldUntil(ctx, begin.Add(brokerPause), c); err != nil {
			return err
		}
		r.Journal.Fired("broker paused", "a payment that nobody could be told of until the end")
		if err := r.Stack.Continue(devstack.Broker); err != nil {
			return err
		}
		stop()
		return errors.Join(firstDeliveries(ctx, r, r.Record.All()[first:]), c.AwaitReady(ctx))
	})
}

// pauseBeforeAnswers stops the broker when transactions have begun and before any can commit.
func pauseBeforeAnswers(ctx context.Context, r *faults.Rig) (time.Time, error) {
	held := holdTransactions(r)
	defer held.Release()
	defer held.Remove()
	if err := faults.Until(ctx, "transactions under way", trafficLimit, func() bool {
		return held.Fired() >= committers
	}); err != nil {
		return time.Time{}, err
	}
	return time.Now(), r.Stack.Pause(devstack.Broker)
}

const (
	// slowOnes is how many handlers are slow before they have begun, and as many when all is done.
	slowOnes = 3
	// slowFor is well over twice slowEnv's consume timeout, as the client looks at its handlers
	// once in that time, and over the time until what it gives back comes again.
	slowFor = 50 * time.Second
)

// slowEnv makes all limits of a delivery short.
func slowEnv() []string {
	return []string{
		"PAYMENT_HOLD_LIMIT_SECONDS=3", "PAYMENT_ROCKETMQ_CONSUME_TIMEOUT_SECONDS=8",
	}
}

// slowHandlers lets handlers take longer than the client is ready to wait. It gives their messages
// back while they still run, which stops none of them; the late ones then meet what was decided
// meanwhile, and give theirs back a second time or acknowledge what is not theirs any more.
func slowHandlers(ctx context.Context, r *faults.Rig) error {
	dead, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	if err != nil {
		return err
	}
	var actions []string
	for i := range slowOnes {
		for _, point := range []failpoint.Point{failpoint.Received, failpoint.BeforeAcknowledge} {
			actions = append(actions,
				fmt.Sprintf("%s=sleep:%v@%d", point, slowFor, 1+3*i+r.Random.IntN(3)))
		}
	}
	c, err := r.Start(ctx, append(slowEnv(), failpoint.Variable+"="+strings.Join(actions, ","))...)
	if err != nil {
		return err
	}
	if err := members(ctx, r, 1); err != nil {
		return err
	}
	r.Sender.Load(ctx, faults.Mix{Orders: 20 * slowOnes, Repeat: 0.2, Alter: 0.05})
	if err := givenBackMeanwhile(ctx, r, c); err != nil {
		return err
	}
	if err := faults.Until(ctx, "all to be acknowledged", trafficLimit, func() bool {
		backlog, err := r.Backlog(ctx)
		return err == nil && backlog == 0 && idle(ctx, c)
	}); err != nil {
		return err
	}
	after, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	if err == nil && after != dead {
		err = fmt.Errorf("%d messages are dead letters because a handler was slow", after-dead)
	}
	return errors.Join(err, paidAtMostOnce(r))
}

// members waits until the broker counts so many consumers in the group. One that was killed may
// stay for a while and hold a queue, such as the one that brings back what was given back.
func members(ctx context.Context, r *faults.Rig, n int) error {
	const consumersOfGroup = 38
	return faults.Until(ctx, fmt.Sprint(n, " members of the group"), trafficLimit, func() bool {
		answer, err := remoting.Call(ctx, r.Stack.Address(devstack.Broker), consumersOfGroup,
			map[string]string{"consumerGroup": devstack.ConsumerGroup}, nil)
		var list struct {
			IDs []string `json:"consumerIdList"`
		}
		return err == nil && json.Unmarshal(answer.Body, &list) == nil && len(list.IDs) == n
	})
}

// idle says whether a consumer has nothing in its hands.
func idle(ctx context.Context, c *faults.Consumer) bool {
	n, err := underWay(ctx, c)
	return err == nil && n == 0
}

// givenBackMeanwhile waits until a consumer has answered later deliveries of as many messages as it
// has slow handlers, and wants those still to be at work then.
func givenBackMeanwhile(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	name, err := instance(c)
	if err != nil {
		return err
	}
	later := map[string]bool{}
	if err := faults.Until(ctx, "later deliveries", trafficLimit, func() bool {
		for _, a := range r.Answers.All() {
			if a.Instance == name && a.Attempt > 1 {
				later[a.MessageID] = true
			}
		}
		return len(later) >= 2*slowOnes
	}); err != nil {
		return err
	}
	n, err := underWay(ctx, c)
	if err != nil {
		return err
	}
	if n < 2*slowOnes {
		return fmt.Errorf("of %d slow handlers %d are at work", 2*slowOnes, n)
	}
	r.Journal.FiredTimes("slow handler", 2*slowOnes, "the consumer's count of deliveries under way")
	r.Journal.FiredTimes("given back while it was handled", len(later),
		"an answer to a later delivery")
	return nil
}

// paidAtMostOnce wants no serial number to have been told twice that it was paid just now.
func paidAtMostOnce(r *faults.Rig) error {
	paid := map[order.Serial]int{}
	for _, a := range r.Answers.Deliveries() {
		if a.Outcome != order.Paid {
			continue
		}
		if paid[a.Serial]++; paid[a.Serial] > 1 {
			return fmt.Errorf("%s was told more than once that it was paid just now", a.Serial)
		}
	}
	return nil
}
