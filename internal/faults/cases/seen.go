package cases

import (
	"context"
	"errors"
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
	o := r.Sender.Order()
	// As long as one consumer has all queues, both of its committers do as well.
	begun, _ := holdRacers(ctx, r, o, committers)
	defer begun.Release()
	// Nobody is told of the commit, as it is not done, and nobody sees it before all can.
	paid := r.Database.Add(mysqlproxy.CommitAfter("INSERT INTO payments"), mysqlproxy.Swallow(),
		rule.Always())
	defer paid.Remove()
	looks := r.Database.Add(lookupOf(o), mysqlproxy.Hold(), rule.Always())
	defer looks.Release()
	// Between visible and written is as long as the disk takes. Now commits stay in the server's
	// memory, until one that has to be written takes those before it along.
	writeAtCommit, err := setGlobal(ctx, r, "0", "innodb_flush_log_at_trx_commit")
	if err != nil {
		return err
	}
	begun.Remove()
	begun.Release()
	err = faults.Until(ctx, "a payment, and the others to look at it", trafficLimit, func() bool {
		return paid.Fired() > 0 && looks.Fired() >= begun.Fired()-1
	})
	if err := errors.Join(err, writeAtCommit()); err != nil {
		return err
	}
	looks.Remove()
	looks.Release()
	rest(ctx, time.Duration(r.Random.Int64N(int64(answered))))
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
