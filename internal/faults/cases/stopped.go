package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

const (
	// sessionTimeout is after how long the server ends a silent session, by the consumers' default.
	sessionTimeout = 20 * time.Second
	// lockLimit is how long the hot account may stay locked: until the session ends, which the
	// server notices in its own time, and until others have come round to it again. Without a limit
	// it would be as long as the process stands still.
	lockLimit = 3 * sessionTimeout
)

// lateEnv lets a consumer finish what it had begun, however long it was stopped.
func lateEnv() []string {
	return []string{
		"PAYMENT_HOLD_LIMIT_SECONDS=600", "PAYMENT_ROCKETMQ_CONSUME_TIMEOUT_SECONDS=1800",
	}
}

// stopConsumer stops one of two consumers inside a transaction that has locked the account which
// all orders are paid from. The other one is measured; it gets all the queues when the broker has
// missed the first for long enough. When the first goes on, with what it had begun and with queues
// that it takes for its own, it finds that everything is paid.
func stopConsumer(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	stopped, err := r.Failing(failpoint.Inserted, "stop@1", lateEnv()...)
	if err != nil {
		return err
	}
	if err := stopped.AwaitReady(ctx); err != nil {
		return err
	}
	first := len(r.Record.All())
	stop := sync.OnceValue(r.Sender.Background(ctx, faults.Mix{
		PerSecond: 30, Repeat: 0.1, Hot: true,
	}))
	defer stop()
	if err := faults.Until(ctx, "a consumer to stop in a transaction", trafficLimit, func() bool {
		return stopped.Says("failpoint " + string(failpoint.Inserted) + " stop")
	}); err != nil {
		return err
	}
	if err := progress(ctx, r, r.Record.All()[first].Order.Payer); err != nil {
		return err
	}
	if err := everyQueue(ctx, r, len(r.Record.All())); err != nil {
		return err
	}
	stop()
	if err := takenOver(ctx, r, r.Record.All()[first:]); err != nil {
		return err
	}
	if stopped.Ready(ctx) {
		return errors.New("the consumer that was to stand still is ready")
	}
	if err := stopped.Continue(); err != nil {
		return err
	}
	return lateWork(ctx, r, stopped)
}

// progress measures how long nobody can pay from an account, because a consumer that has just been
// stopped holds its lock.
func progress(ctx context.Context, r *faults.Rig, account order.Account) error {
	begin := time.Now()
	entries := func() (n int, err error) {
		row := r.SQL.QueryRowContext(ctx,
			"SELECT COUNT(*) FROM ledger_entries WHERE account_id = ?", account)
		return n, row.Scan(&n)
	}
	before, err := entries()
	if err != nil {
		return err
	}
	const lockWaitTimeout = 1205
	waits := r.Database.Errors(lockWaitTimeout)
	err = faults.Until(ctx, "progress on the hot account", lockLimit, func() bool {
		now, err := entries()
		return err == nil && now > before
	})
	r.Journal.FiredTimes("lock held by a stopped consumer",
		r.Database.Errors(lockWaitTimeout)-waits, "the server's lock wait timeouts")
	r.Say("the hot account was locked for %.1f s; the server ends a silent session after %v",
		time.Since(begin).Seconds(), sessionTimeout)
	return err
}

// everyQueue waits until each queue has got an order, from a position in the record on.
func everyQueue(ctx context.Context, r *faults.Rig, since int) error {
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return err
	}
	return faults.Until(ctx, "an order in each queue", trafficLimit, func() bool {
		filled := map[int]bool{}
		for _, m := range r.Record.All()[since:] {
			filled[m.Queue] = filled[m.Queue] || m.Status == faults.Acknowledged
		}
		return len(filled) >= len(queues)
	})
}

// takenOver waits until everything is answered, of each queue, although a consumer that had a share
// of them stands still. The broker gives it up 40 s after its last heartbeat, and the others learn
// of that within 20 s.
func takenOver(ctx context.Context, r *faults.Rig, messages []faults.Message) error {
	if err := faults.Until(ctx, "the stopped consumer's orders", 2*trafficLimit, func() bool {
		answered := r.Answers.Answered()
		for _, m := range messages {
			if m.Status == faults.Acknowledged && answered[m.ID] == 0 {
				return false
			}
		}
		return true
	}); err != nil {
		return err
	}
	r.Journal.Fired("queues taken over", "the orders of each queue are answered")
	return nil
}

// lateWork waits until a consumer that goes on after a long stop has answered what it had begun,
// and wants nothing of it to be paid again.
func lateWork(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	if err := c.AwaitReady(ctx); err != nil {
		return err
	}
	name, err := instance(c)
	if err != nil {
		return err
	}
	if err := faults.Until(ctx, "late answers", trafficLimit, func() bool {
		return idle(ctx, c) && r.Answers.CaughtUp(ctx) == nil
	}); err != nil {
		return err
	}
	late := 0
	for _, a := range r.Answers.All() {
		if a.Instance != name {
			continue
		}
		if !a.Duplicate {
			return fmt.Errorf("%s was %s by a consumer that had been stopped for too long", a.Serial,
				a.Outcome)
		}
		late++
	}
	r.Journal.FiredTimes("late work", late, "it is answered, as a duplicate")
	return paidAtMostOnce(r)
}
