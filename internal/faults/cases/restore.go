package cases

import (
	"context"
	"fmt"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// restoredOrders is how many orders are paid before the copy of the database is made, and how many
// after it.
const restoredOrders = 300

// restoreDatabase makes payments that the database forgets and Redis does not. An operator restores
// as DESIGN.md says: without consumers, and replacing the ledger epoch before they start again.
// Whoever then asks for such a payment again is not told that it was made, but gets it.
func restoreDatabase(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2)
	if err != nil {
		return err
	}
	if err := paidAndAcknowledged(ctx, r); err != nil {
		return err
	}
	if err := r.Stack.BackUp(ctx); err != nil {
		return err
	}
	if err := paidAndAcknowledged(ctx, r); err != nil {
		return err
	}
	for _, c := range consumers {
		if err := c.Stop(ctx); err != nil {
			return err
		}
	}
	lost, err := r.Restore(ctx, func() error {
		said, err := r.Operate(ctx, "epoch", "replace")
		if err != nil {
			return fmt.Errorf("epoch replace: %w: %s", err, said)
		}
		return nil
	})
	if err != nil {
		return err
	}
	forgotten := distinct(lost)
	known, err := inRedis(ctx, r, forgotten)
	if err != nil {
		return err
	}
	r.Journal.FiredTimes("payment lost", known, "an answer in Redis, and no row")
	if _, err := startSome(ctx, r, 2); err != nil {
		return err
	}
	return paidAnew(ctx, r, forgotten)
}

// paidAndAcknowledged has orders paid, and waits until the broker knows that they are done: it
// will not deliver them again.
func paidAndAcknowledged(ctx context.Context, r *faults.Rig) error {
	// No other contents: which of two comes first may differ when they are sent again.
	r.Sender.Load(ctx, faults.Mix{Orders: restoredOrders, Repeat: 0.2, Hostile: 0.02})
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	return faults.Until(ctx, "all to be acknowledged", trafficLimit, func() bool {
		backlog, err := r.Backlog(ctx)
		return err == nil && backlog == 0
	})
}

// distinct are the orders among messages, each once.
func distinct(messages []faults.Message) []order.Order {
	var orders []order.Order
	seen := map[order.Serial]bool{}
	for _, m := range messages {
		if m.Valid() && !seen[m.Order.Serial] {
			seen[m.Order.Serial] = true
			orders = append(orders, *m.Order)
		}
	}
	return orders
}

// inRedis counts the orders that Redis has an answer for.
func inRedis(ctx context.Context, r *faults.Rig, orders []order.Order) (int, error) {
	keys := make([]string, len(orders))
	for i, o := range orders {
		keys[i] = "payment:" + string(o.Serial)
	}
	n, err := r.Redis.Exists(ctx, keys...).Result()
	return int(n), err
}

// paidAnew sends orders again that the database has lost, and wants each to be paid.
func paidAnew(ctx context.Context, r *faults.Rig, orders []order.Order) error {
	for _, m := range sendTogether(ctx, r, orders...) {
		got, err := firstAnswer(ctx, r, m)
		if err != nil {
			return err
		}
		if got.Outcome != order.Paid {
			return fmt.Errorf("%s, whose payment is lost, was %s by the %s when it was sent again",
				m.Order.Serial, got.Outcome, got.DecidedBy)
		}
	}
	r.Journal.FiredTimes("answer not believed",
		sumMetric(ctx, r, "payment_cache_lookups_total", `result="stale"`), "the consumers' count")
	return nil
}
