package cases

import (
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// delayCache wants orders to be paid through the database while Redis is slow, the consumer to be
// ready all along, and the cache to be used again afterwards.
func delayCache(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	before := r.Cache.Stats().Delayed
	if err := r.Cache.Latency(lateBy); err != nil {
		return err
	}
	for range 3 {
		if err := paidMeanwhile(ctx, r, "orders while Redis is slow"); err != nil {
			return err
		}
		if !c.Ready(ctx) {
			return errors.New("the consumer is not ready although only Redis is slow")
		}
	}
	r.Journal.FiredTimes("cache late", r.Cache.Stats().Delayed-before, "the link")
	if !c.Says("cache degraded") {
		return errors.New("the consumer has not given up a cache that is far too slow")
	}
	if err := r.Cache.Reset(); err != nil {
		return err
	}
	return cacheInUse(ctx, r, c)
}

// cacheInUse waits until a repeat is answered by the cache.
func cacheInUse(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	by := func() (float64, error) {
		return metric(ctx, c, "payment_decisions_total", `decided_by="cache"`)
	}
	before, err := by()
	if err != nil {
		return err
	}
	return faults.Until(ctx, "the cache to answer a repeat", trafficLimit, func() bool {
		o := r.Sender.Order()
		for range 2 {
			if awaitAnswers(ctx, r, "an order and its repeat", r.Sender.Send(ctx, o)) != nil {
				return false
			}
		}
		now, err := by()
		return err == nil && now > before
	})
}

// lostReplies is how many batches have their reply from Redis lost.
const lostReplies = 4

// loseRepliesToSet lets Redis store the answers and keeps the reply from the consumer, which then
// does not know that its cache has them. The consumer pauses between its commit and the cache, so
// that the link can begin to hold answers exactly there.
func loseRepliesToSet(ctx context.Context, r *faults.Rig) error {
	c, err := r.Failing(failpoint.Committed, "sleep:700ms@100%")
	if err != nil {
		return err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	err = faults.Until(ctx, fmt.Sprint(lostReplies, " lost replies"), 2*trafficLimit, func() bool {
		// Lookups and writes are tried again after a pause: without a reply that has come, nothing
		// would be sent that could be lost.
		if cacheInUse(ctx, r, c) != nil {
			return false
		}
		if kept, err := loseOneReply(ctx, r); err != nil || kept == 0 {
			return false
		}
		r.Journal.Fired("reply to SET lost", "the key is in Redis, the reply was held")
		return len(r.Journal.Proofs("reply to SET lost")) > 0 &&
			r.Journal.Counts()["reply to SET lost"] >= lostReplies
	})
	return err
}

// loseOneReply sends a few orders, loses the reply to their cache write, and returns how many of
// them Redis has kept. Their repeats are duplicates, whoever answers.
func loseOneReply(ctx context.Context, r *faults.Rig) (kept int, err error) {
	orders := newOrders(r, 10)
	messages := sendTogether(ctx, r, orders...)
	if err := faults.Until(ctx, "a commit", trafficLimit, func() bool {
		return inDatabase(ctx, r, orders[0])
	}); err != nil {
		return 0, err
	}
	held := r.Cache.Stats().Held
	if err := r.Cache.HoldAnswers(); err != nil {
		return 0, err
	}
	// Cut before the gate opens: the reply is lost, and not only late.
	defer func() { r.Cache.CutAll(); err = errors.Join(err, r.Cache.Reset()) }()
	if err := awaitAnswers(ctx, r, "orders whose cache write has no reply", messages...); err != nil {
		return 0, err
	}
	for _, o := range orders {
		n, err := r.Redis.Exists(ctx, "payment:"+string(o.Serial)).Result()
		if err != nil {
			return 0, err
		}
		kept += int(n)
	}
	if r.Cache.Stats().Held == held {
		return 0, nil
	}
	sendTogether(ctx, r, orders...)
	return kept, nil
}

// inDatabase says whether an order is decided.
func inDatabase(ctx context.Context, r *faults.Rig, o order.Order) bool {
	var n int
	row := r.SQL.QueryRowContext(ctx, "SELECT COUNT(*) FROM payments WHERE serial_no = ?", o.Serial)
	return row.Scan(&n) == nil && n > 0
}
