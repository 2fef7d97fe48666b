package cases

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/remoting"
)

const (
	// stormSteps is how many consumers come and go, queuesAdded how many queues are added twice.
	stormSteps  = 8
	queuesAdded = 2
)

// rebalanceStorm starts and ends a consumer every second or so, in order and by kill -9, adds
// queues to the topic meanwhile, and goes on until an order has come through a new queue.
func rebalanceStorm(ctx context.Context, r *faults.Rig) error {
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 100, Repeat: 0.2, Alter: 0.02})
	defer stop()
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return err
	}
	var running []*faults.Consumer
	for step := 0; step < stormSteps || !throughQueue(r, len(queues)); step++ {
		if ctx.Err() != nil {
			return fmt.Errorf("no order has come through a new queue: %w", ctx.Err())
		}
		c, err := r.Start(ctx)
		if err != nil {
			return err
		}
		if running = append(running, c); len(running) > 2 {
			if err := leave(ctx, r, running[0]); err != nil {
				return err
			}
			running = running[1:]
		}
		if step == 2 || step == 4 {
			n := len(queues) + queuesAdded*step/2
			if err := r.Admin.CreateTopic(ctx, r.Stack.Address(devstack.Broker), devstack.OrderTopic,
				n); err != nil {
				return err
			}
			r.Journal.FiredTimes("queues added", queuesAdded, "the name server's route")
		}
	}
	return nil
}

// leave ends a consumer, two in three in order.
func leave(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	if r.Random.IntN(3) == 0 {
		return c.Kill()
	}
	if err := c.Stop(ctx); err != nil {
		return fmt.Errorf("a consumer that was told to end: %w", err)
	}
	r.Journal.Fired("consumer left", "exit status 0")
	return nil
}

// throughQueue says whether an order was stored in a queue from this number on.
func throughQueue(r *faults.Rig, first int) bool {
	for _, m := range r.Record.All() {
		if m.Status == faults.Acknowledged && m.Queue >= first {
			return true
		}
	}
	return false
}

// replayFromZero makes the broker deliver everything again, once with a cache that knows it all
// and once with one that knows nothing. Nothing is paid then.
func replayFromZero(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	before := len(r.Record.All())
	r.Sender.Load(ctx, faults.Mix{Orders: 600, Repeat: 0.2, Alter: 0.02, Hostile: 0.02})
	if err := awaitAnswers(ctx, r, "the first round", valid(r.Record.All()[before:])...); err != nil {
		return err
	}
	for _, by := range []string{"cache", "database"} {
		if err := c.Stop(ctx); err != nil {
			return err
		}
		if by == "database" {
			if err := r.Stack.FlushCache(ctx); err != nil {
				return err
			}
			r.Journal.Fired("cache flushed", "the server's answer")
		}
		all, err := setBack(ctx, r)
		if err != nil {
			return err
		}
		if c, err = r.Start(ctx); err != nil {
			return err
		}
		if err := replayed(ctx, r, all, by); err != nil {
			return err
		}
	}
	return nil
}

// valid are the messages that are answered: what is rejected is not.
func valid(messages []faults.Message) []faults.Message {
	var valid []faults.Message
	for _, m := range messages {
		if m.Valid() {
			valid = append(valid, m)
		}
	}
	return valid
}

// setBack sets the group's offsets to 0, which nobody but an operator does, and returns how many
// messages will come again.
func setBack(ctx context.Context, r *faults.Rig) (messages int, err error) {
	const updateOffset = 15
	broker := r.Stack.Address(devstack.Broker)
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return 0, err
	}
	for _, q := range queues {
		if _, err := remoting.Call(ctx, broker, updateOffset, map[string]string{
			"consumerGroup": devstack.ConsumerGroup, "topic": devstack.OrderTopic,
			"queueId": strconv.Itoa(q.Queue), "commitOffset": "0",
		}, nil); err != nil {
			return 0, err
		}
	}
	if queues, err = r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic); err != nil {
		return 0, err
	}
	for _, q := range queues {
		if q.Committed != 0 {
			return 0, fmt.Errorf("queue %d was set back to 0 and is at %d", q.Queue, q.Committed)
		}
		messages += int(q.Max)
		r.Journal.Fired("offsets set back", "the broker's offsets")
	}
	return messages, nil
}

// replayed waits until so many messages were decided again, and wants none of them to have been
// paid, and some to be known by whom it must have been.
func replayed(ctx context.Context, r *faults.Rig, messages int, by string) error {
	if err := faults.Until(ctx, fmt.Sprint(messages, " messages again"), trafficLimit, func() bool {
		return decisions(ctx, r) >= messages
	}); err != nil {
		return err
	}
	if n := decisions(ctx, r, `outcome="paid"`); n > 0 {
		return fmt.Errorf("%d payments in a replay", n)
	}
	if decisions(ctx, r, `outcome="duplicate"`, `decided_by="`+by+`"`) == 0 {
		return errors.New("no duplicate in a replay was known by the " + by)
	}
	return nil
}

// expiryOrders is how many orders come again after the cache has forgotten them.
const expiryOrders = 200

// replayAfterExpiry repeats orders when their cache keys have expired: the database knows them.
func replayAfterExpiry(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx,
		"PAYMENT_CACHE_EXPIRY_SECONDS=1", "PAYMENT_CACHE_EXPIRY_JITTER_SECONDS=0"); err != nil {
		return err
	}
	orders := newOrders(r, expiryOrders)
	messages := sendTogether(ctx, r, orders...)
	if err := awaitAnswers(ctx, r, "the first round", messages...); err != nil {
		return err
	}
	before, err := expired(ctx, r)
	if err != nil {
		return err
	}
	keys := make([]string, len(orders))
	for i, o := range orders {
		keys[i] = "payment:" + string(o.Serial)
	}
	// Redis counts a key when it has noticed its expiry, which it does soon after and when asked.
	if err := faults.Until(ctx, "the cache to forget", trafficLimit, func() bool {
		left, err := r.Redis.Exists(ctx, keys...).Result()
		return err == nil && left == 0
	}); err != nil {
		return err
	}
	after, err := expired(ctx, r)
	if err != nil {
		return err
	}
	r.Journal.FiredTimes("cache keys expired", after-before, "the server's expired_keys")
	byDatabase := decisions(ctx, r, `outcome="duplicate"`, `decided_by="database"`)
	again := sendTogether(ctx, r, orders...)
	if err := awaitAnswers(ctx, r, "the second round", again...); err != nil {
		return err
	}
	if n := decisions(ctx, r, `outcome="duplicate"`, `decided_by="database"`) - byDatabase; n == 0 {
		return errors.New("no repeat was known by the database")
	}
	return nil
}

// expired is how many keys Redis has dropped because their time had come.
func expired(ctx context.Context, r *faults.Rig) (int, error) {
	info, err := r.Redis.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(info["Stats"]["expired_keys"])
}

const (
	// unanswered is how many producers get no answer, to each of the attempts that one makes.
	unanswered     = 12
	attemptsOfSend = 3
)

// resendAfterTimeout loses the broker's answer to every attempt of a send. The producer, who does
// not know that they are stored, all but those that a busy broker has refused, sends the message
// once more under its ID, and then gives up on it and sends the order as a new message.
func resendAfterTimeout(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	before, err := stored(ctx, r, devstack.OrderTopic)
	if err != nil {
		return err
	}
	lost := r.Broker.Add(rocketmqproxy.Sends(devstack.OrderTopic), rocketmqproxy.LoseAnswer(),
		rule.Always())
	orders := newOrders(r, unanswered)
	first := sendTogether(ctx, r, orders...)
	lost.Remove()
	r.Journal.FiredTimes("answer to a send lost", lost.Fired(), "the proxy")
	if lost.Fired() < unanswered*attemptsOfSend {
		return fmt.Errorf("%d answers were lost, of %d attempts", lost.Fired(),
			unanswered*attemptsOfSend)
	}
	for _, m := range first {
		if m.Status != faults.Unknown {
			return fmt.Errorf("a send without an answer is %s", m.Status)
		}
	}
	again := make([]faults.Message, len(first))
	var anew []faults.Message
	faults.Together(
		func() {
			for i, m := range first {
				again[i] = r.Sender.Again(ctx, m)
			}
		},
		func() { anew = sendTogether(ctx, r, orders...) },
	)
	if err := awaitAnswers(ctx, r, "orders sent again", append(again, anew...)...); err != nil {
		return err
	}
	after, err := stored(ctx, r, devstack.OrderTopic)
	if err != nil {
		return err
	}
	if copies := after - before; copies <= 2*unanswered {
		return fmt.Errorf("%d messages are stored for %d orders: none was stored again", copies,
			unanswered)
	}
	return paidOnce(ctx, r, first, int(after-before)-len(anew))
}

// paidOnce wants messages, of which there are so many copies, to have been answered for each, and
// paid for at most one of a message's: the one that pays may be the copy under another ID.
func paidOnce(
	ctx context.Context, r *faults.Rig, messages []faults.Message, copies int,
) error {
	if err := faults.Until(ctx, "an answer to each copy", trafficLimit, func() bool {
		answers := 0
		for _, m := range messages {
			answers += len(r.Answers.Answers(m.ID))
		}
		return answers >= copies
	}); err != nil {
		return err
	}
	for _, m := range messages {
		paid := 0
		for _, a := range r.Answers.Answers(m.ID) {
			if a.Outcome == order.Paid {
				paid++
			}
		}
		if paid > 1 {
			return fmt.Errorf("message %s was paid %d times", m.ID, paid)
		}
	}
	return nil
}
