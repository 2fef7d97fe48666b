package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

func broker() []faults.Case {
	return []faults.Case{{
		ID: "F63", Title: "as many poison messages as good ones",
		Quick: true, Faults: []string{"poison"},
		Run: func(ctx context.Context, r *faults.Rig) error { return poison(ctx, r, 300) },
	}, {
		// Alone, because every later check of a shared rig would read ten thousand bodies.
		ID: "F63x", Title: "10,000 poison messages among 10,000 good ones",
		Alone: true, Faults: []string{"poison"},
		Run: func(ctx context.Context, r *faults.Rig) error { return poison(ctx, r, 10_000) },
	}, {
		ID: "F64", Title: "two orders fail until they are dead letters; one goes on failing",
		Faults: []string{"dead letter", "undecided", "paid by the drainer"}, Run: deadLetters,
	}, {
		ID: "F66", Title: "a dead letter is replayed from the quarantine, again and again",
		Faults: []string{"undecided", "replay"}, Run: replays,
	}, {
		ID: "F67", Title: "the result topic takes nothing for 20 s",
		Faults: []string{"result refused"}, Run: resultsRefused,
	}, {
		ID: "F69", Title: "the broker deletes messages that were not consumed",
		Alone: true, Stack: smallFiles, Faults: []string{"deleted unread", "duplicate"}, Run: retention,
	}, {
		// Alone, because a shared rig's topic holds the messages of every case before.
		ID: "F70", Title: "a new group reads an old topic",
		Alone: true, Faults: []string{"duplicate"}, Run: newGroup,
	}, {
		ID: "F83", Title: "producers and consumers with wrong credentials, or none",
		Faults: []string{"refused"}, Run: credentials,
	}}
}

// poison sends as many hostile messages as good ones and, all the while, one good order after the
// other whose answer is waited for. Those are answered while poison is still coming: it stands in
// nobody's way.
func poison(ctx context.Context, r *faults.Rig, good int) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	alone, err := probe(ctx, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	over, enough, sent := make(chan struct{}), make(chan struct{}), 0
	go func() {
		defer close(over)
		for more := true; more && ctx.Err() == nil; {
			sent += r.Sender.Load(ctx, faults.Mix{Orders: good, Hostile: 1, PerSecond: 400})
			select {
			case <-enough:
				more = false
			default: // so that there is something for an order to be answered amid
			}
		}
	}()
	defer func() { cancel(); <-over }()
	amid, err := probeUntil(ctx, r, over, enough)
	if err != nil {
		return fmt.Errorf("amid the poison: %w", err)
	}
	slices.Sort(amid)
	r.Say("%d good orders were answered while poison was coming, the median after %v (alone: %v)",
		len(amid), amid[len(amid)/2].Round(time.Millisecond), alone.Round(time.Millisecond))
	var rejected float64
	err = faults.Until(ctx, "the poison to be rejected", soon, func() bool {
		rejected, _ = c.Metric(ctx, "payment_quarantined_messages_total")
		return int(rejected) >= sent
	})
	r.Journal.FiredTimes("poison", int(rejected), "rejected, by the consumer's count")
	return err
}

// probeUntil sends one probe after the other, and returns how long those took that were answered
// before it was over. The first is enough.
func probeUntil(
	ctx context.Context, r *faults.Rig, over <-chan struct{}, enough chan<- struct{},
) (amid []time.Duration, err error) {
	for {
		took, err := probe(ctx, r)
		if err != nil {
			return nil, err
		}
		select {
		case <-over:
			if len(amid) == 0 {
				return nil, context.Cause(ctx) // it is not over before, unless it is called off
			}
			return amid, nil
		default:
			if len(amid) == 0 {
				close(enough)
			}
			amid = append(amid, took)
		}
	}
}

// probe sends a good order, waits until it is paid at its first delivery, and says how long that
// took.
func probe(ctx context.Context, r *faults.Rig) (time.Duration, error) {
	begin := time.Now()
	got, err := firstAnswer(ctx, r, r.Sender.Send(ctx, r.Sender.Order()))
	if err == nil && (got.Outcome != order.Paid || got.Attempt != 1) {
		err = fmt.Errorf("a good order was %s at attempt %d", got.Outcome, got.Attempt)
	}
	return time.Since(begin), err
}

// refusal is how long the result topic takes nothing. Redeliveries come after a second here, so
// that whatever climbed the ladder would do so several times; and it is well below the 120 s that
// a delivery may be held.
const refusal = 20 * time.Second

// resultsRefused: payments are made, their answers are held, and nothing is given back.
func resultsRefused(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	return nothingGivenBack(ctx, r, func() error {
		refused := r.Broker.Add(rocketmqproxy.Sends(devstack.ResultTopic),
			rocketmqproxy.Refuse(rocketmqproxy.NoPermission), rule.Always())
		first := len(r.Record.All())
		r.Sender.Load(ctx, faults.Usual(200))
		if err := stayUnready(ctx, c, refusal); err != nil {
			return err
		}
		refused.Remove()
		r.Journal.FiredTimes("result refused", refused.Fired(), "the proxy")
		return errors.Join(firstDeliveries(ctx, r, r.Record.All()[first:]), c.AwaitReady(ctx))
	})
}

// newGroup starts a group that nobody has heard of: it reads from the first message on, and
// everything is a duplicate. While the broker has the first message it may itself tell the group to
// begin there; F69 has a new group of which only the client knows where it begins.
func newGroup(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	r.Sender.Load(ctx, faults.Usual(500))
	return secondGroup(ctx, r, c)
}

// secondGroup replaces the consumer by one of another group, once it has answered everybody.
func secondGroup(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	const group = "payment-consumer-second"
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	before, err := answers(ctx, r)
	if err != nil {
		return err
	}
	for _, topic := range []string{
		rocketmq.RetryTopic(group), rocketmq.DeadLetterTopic(group), rocketmq.RetryTopic(group + "-dlq"),
	} {
		if err := r.Admin.CreateTopic(ctx, r.Stack.Address(devstack.Broker), topic, 1); err != nil {
			return err
		}
	}
	if _, err := r.Start(ctx, "PAYMENT_ROCKETMQ_GROUP="+group); err != nil {
		return err
	}
	return allDuplicates(ctx, r, before)
}

// answers counts the answers to each order that the broker still has.
func answers(ctx context.Context, r *faults.Rig) (map[string]int, error) {
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return nil, err
	}
	first := map[int]int64{}
	for _, q := range queues {
		first[q.Queue] = q.Min
	}
	answered, counts := r.Answers.Answered(), map[string]int{}
	for _, m := range r.Record.All() {
		if m.Status == faults.Acknowledged && m.Valid() && m.Offset >= first[m.Queue] {
			counts[m.ID] = answered[m.ID]
		}
	}
	return counts, nil
}

// allDuplicates waits until every message has one answer more than before, which must be that it
// was decided already.
func allDuplicates(ctx context.Context, r *faults.Rig, before map[string]int) error {
	for id, count := range before {
		got, err := await(ctx, "another answer to "+id, func() (order.Result, bool, error) {
			now := r.Answers.Answers(id)
			if len(now) <= count {
				return order.Result{}, false, nil
			}
			return now[len(now)-1], true, nil
		})
		if err != nil {
			return everybodyAnswered(err)
		}
		if !got.Duplicate && got.Outcome != order.Conflict {
			return fmt.Errorf("%s was decided again: %s", id, got.Outcome)
		}
	}
	r.Journal.FiredTimes("duplicate", len(before), "a second answer")
	return nil
}
