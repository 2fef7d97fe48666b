package cases

import (
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// isolationLevels plays the same scenes under each level that a server may give new sessions, and
// wants the same outcomes. With innodb_snapshot_isolation MariaDB refuses, at the second level, to
// change what has changed since the transaction began to read.
func isolationLevels(ctx context.Context, r *faults.Rig) error {
	for _, level := range []struct{ name, snapshot string }{
		{"READ-COMMITTED", ""}, {"REPEATABLE-READ", "OFF"}, {"REPEATABLE-READ", "ON"},
	} {
		if err := underLevel(ctx, r, level.name, level.snapshot); err != nil {
			return fmt.Errorf("%s, innodb_snapshot_isolation=%s: %w", level.name, level.snapshot, err)
		}
	}
	return nil
}

// underLevel plays the scenes with a consumer whose sessions begin at a level.
func underLevel(ctx context.Context, r *faults.Rig, level, snapshot string) (err error) {
	const variable = "innodb_snapshot_isolation"
	restore, err := setGlobal(ctx, r, level, "transaction_isolation", "tx_isolation")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	if snapshot != "" {
		restore, failed := setGlobal(ctx, r, snapshot, variable)
		switch {
		case errors.Is(failed, errNoVariable):
			r.Say("%v", failed)
		case failed != nil:
			return failed
		default:
			defer func() { err = errors.Join(err, restore()) }()
		}
	}
	c, err := startAlone(ctx, r)
	if err != nil {
		return err
	}
	for _, scene := range []func(context.Context, *faults.Rig) error{
		repeatOrders, repeatSerials, declineOrders, raceForKeys,
	} {
		if err := scene(ctx, r); err != nil {
			return err
		}
	}
	r.Journal.Fired("isolation level", level+" "+snapshot)
	return c.Stop(ctx)
}

// told waits for the first answer to each message, and wants all of them to be of one kind.
func told(
	ctx context.Context, r *faults.Rig, want order.Outcome, messages ...faults.Message,
) error {
	for _, m := range messages {
		got, err := firstAnswer(ctx, r, m)
		if err == nil && got.Outcome != want {
			err = fmt.Errorf("%s was %s (%s), want %s", m.Key, got.Outcome, got.Reason, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// repeatOrders: orders, and the same again with the cache and without it.
func repeatOrders(ctx context.Context, r *faults.Rig) error {
	orders := newOrders(r, 5)
	if err := told(ctx, r, order.Paid, sendTogether(ctx, r, orders...)...); err != nil {
		return err
	}
	if err := told(ctx, r, order.Duplicate, sendTogether(ctx, r, orders...)...); err != nil {
		return err
	}
	if err := r.Stack.FlushCache(ctx); err != nil {
		return err
	}
	return told(ctx, r, order.Duplicate, sendTogether(ctx, r, orders...)...)
}

// repeatSerials: an order under a second serial number, with the same content and with another.
func repeatSerials(ctx context.Context, r *faults.Rig) error {
	first := r.Sender.Order()
	same, other := first, first
	same.Serial, other.Serial = r.Sender.Order().Serial, r.Sender.Order().Serial
	other.Amount.Minor++
	if err := told(ctx, r, order.Paid, r.Sender.Send(ctx, first)); err != nil {
		return err
	}
	if err := told(ctx, r, order.Duplicate, r.Sender.Send(ctx, same)); err != nil {
		return err
	}
	return told(ctx, r, order.Conflict, r.Sender.Send(ctx, other))
}

// declineOrders: what the business refuses, each for its reason.
func declineOrders(ctx context.Context, r *faults.Rig) error {
	for reason, o := range r.Sender.Refused() {
		got, err := firstAnswer(ctx, r, r.Sender.Send(ctx, o))
		if err == nil && (got.Outcome != order.Declined || got.Reason != reason) {
			err = fmt.Errorf("an order to be declined (%s) was %s (%s)", reason, got.Outcome, got.Reason)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// raceForKeys: orders that share the serial number and nothing else, or the order ID and nothing
// else, so that no account's lock orders them: only the unique keys decide.
func raceForKeys(ctx context.Context, r *faults.Rig) error {
	a := r.Sender.Order()
	b := apart(r, a)
	b.Serial = a.Serial
	if err := raceForKey(ctx, r, a, b); err != nil {
		return fmt.Errorf("two orders of one serial: %w", err)
	}
	a = r.Sender.Order()
	b = apart(r, a)
	b.ID = a.ID
	if err := raceForKey(ctx, r, a, b); err != nil {
		return fmt.Errorf("two serials of one order: %w", err)
	}
	return nil
}

// raceForKey stops two orders before their inserts, each in a transaction of its own, and lets
// them go together. One is paid and the other is a conflict, whichever comes first.
func raceForKey(ctx context.Context, r *faults.Rig, orders ...order.Order) error {
	lost := func() int {
		return r.Database.Errors(duplicateKey) + r.Database.Errors(snapshotChanged)
	}
	before := lost()
	limited, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	held := r.Database.Add(mysqlproxy.Containing("INSERT INTO payments"), mysqlproxy.Hold(),
		rule.Always())
	defer held.Release()
	defer held.Remove()
	var messages []faults.Message
	for n, o := range orders {
		messages = append(messages, r.Sender.Send(ctx, o))
		if err := faults.Until(limited, "a racer at its insert", gatherLimit, func() bool {
			return held.Fired() > n
		}); err != nil {
			return err
		}
	}
	if err := ownLevel(ctx, r, len(orders)); err != nil {
		return err
	}
	held.Remove()
	held.Release()
	outcomes := map[order.Outcome]int{}
	for _, m := range messages {
		got, err := firstAnswer(ctx, r, m)
		if err != nil {
			return err
		}
		outcomes[got.Outcome]++
	}
	if outcomes[order.Paid] != 1 || outcomes[order.Conflict] != 1 {
		return fmt.Errorf("the race ended with %v, want one paid and one conflict", outcomes)
	}
	if lost() == before {
		return errors.New("no transaction has lost the race to another one")
	}
	r.Journal.FiredTimes("lost race for a key", lost()-before, "the server's errors")
	return nil
}

// ownLevel wants so many transactions, and all that there are, to run at the level that the
// service has chosen and not at the server's.
func ownLevel(ctx context.Context, r *faults.Rig, transactions int) error {
	const locking = "trx_rows_locked > 0"
	mine, err := r.Transactions(ctx, locking+" AND trx_isolation_level = 'READ COMMITTED'")
	if err != nil {
		return err
	}
	all, err := r.Transactions(ctx, locking)
	if err == nil && (mine != transactions || all != transactions) {
		err = fmt.Errorf("of %d transactions %d run at READ COMMITTED, want %d of %d", all, mine,
			transactions, transactions)
	}
	return err
}
