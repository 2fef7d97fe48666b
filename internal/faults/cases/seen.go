package cases

import (
	"context"
	"fmt"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

const (
	// seenKills is how often the database is killed as a payment is seen.
	seenKills = 20
	// answered is about how long a consumer takes to answer from what it has found.
	answered = 20 * time.Millisecond
)

// killAsSeen kills the database when one consumer has made a payment and another has just looked
// it up. A commit is visible before it is on the disk: what was seen may be gone when the database
// is back. The other consumer must not have answered from it.
func killAsSeen(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2, patientEnv)
	if err != nil {
		return err
	}
	for range seenKills {
		if err := killOnceSeen(ctx, r); err != nil {
			return err
		}
		if err := r.Stack.Restart(ctx, devstack.MySQL); err != nil {
			return err
		}
		if err := awaitReady(ctx, consumers...); err != nil {
			return err
		}
	}
	return allAnswered(ctx, r)
}

// killOnceSeen lets the consumers begin to pay the same order. The commit of the one that is first
// stays between visible and written until the others look it up; then the database is killed.
func killOnceSeen(ctx context.Context, r *faults.Rig) error {
	begun := r.Database.Add(mysqlproxy.Containing("START TRANSACTION"), mysqlproxy.Hold(),
		rule.Always())
	defer begun.Release()
	o := r.Sender.Order()
	sendTogether(ctx, r, copiesOf(o, copies)...)
	// While the group still settles, one consumer may have all queues; both of its committers
	// then do as well.
	_ = faults.Until(ctx, "racers at the start", gatherLimit, func() bool {
		return begun.Fired() >= committers
	})
	// Nobody is told of the commit, as it is not done, and nobody sees it before all can.
	paid := r.Database.Add(mysqlproxy.CommitAfter("INSERT INTO payments"), mysqlproxy.Swallow(),
		rule.Always())
	defer paid.Remove()
	looks := r.Database.Add(lookupOf(o), mysqlproxy.Hold(), rule.Always())
	defer looks.Release()
	if err := delayWrites(ctx, r); err != nil {
		return err
	}
	begun.Remove()
	begun.Release()
	if err := faults.Until(ctx, "a payment, and the others to look at it", trafficLimit, func() bool {
		return paid.Fired() > 0 && looks.Fired() >= begun.Fired()-1
	}); err != nil {
		return err
	}
	if err := writeAtCommit(ctx, r); err != nil {
		return err
	}
	looks.Remove()
	looks.Release()
	time.Sleep(time.Duration(r.Random.Int64N(int64(answered))))
	if err := r.Stack.Kill(devstack.MySQL); err != nil {
		return err
	}
	r.Journal.Fired("killed as seen", "the lookup that came second")
	return nil
}

// lookupOf is a match for step 2 of the guard, for an order that no other is under way with.
func lookupOf(o order.Order) mysqlproxy.Match {
	return mysqlproxy.Containing(fmt.Sprintf("p.serial_no IN ('%s'", o.Serial))
}

// delayWrites makes the time between visible and written, which is as long as the disk takes, long
// enough to be met: commits stay in the server's memory.
func delayWrites(ctx context.Context, r *faults.Rig) error {
	_, err := r.SQL.ExecContext(ctx, `SET GLOBAL innodb_flush_log_at_timeout = 2700,
GLOBAL innodb_flush_log_at_trx_commit = 0`)
	return err
}

// writeAtCommit ends it: the next commit is written before it is answered, and with it all before.
func writeAtCommit(ctx context.Context, r *faults.Rig) error {
	_, err := r.SQL.ExecContext(ctx, "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
	return err
}
