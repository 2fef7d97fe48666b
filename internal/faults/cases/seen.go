package cases

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
)

const (
	// seenKills is how often the database is killed as a payment is seen.
	seenKills = 40
	// busySessions keep the database's log busy, each with a row of its own.
	busySessions = 4
	// busyBytes is what each of their commits writes.
	busyBytes = 256 << 10
	// answered is about how long a lookup takes: the database is killed when its answer is out.
	answered = 2 * time.Millisecond
)

// killAsSeen kills the database when one consumer has made a payment and the other has just looked
// it up. A commit is visible before it is on the disk, the more so the busier the log: what was
// seen may be gone when the database is back. The other consumer must not have answered from it.
func killAsSeen(ctx context.Context, r *faults.Rig) error {
	consumers, err := startSome(ctx, r, 2, patientEnv)
	if err != nil {
		return err
	}
	stop, err := keepLogBusy(ctx, r)
	if err != nil {
		return err
	}
	for range seenKills {
		if err := killOnceSeen(ctx, r); err != nil {
			return errors.Join(err, stop())
		}
		if err := r.Stack.Restart(ctx, devstack.MySQL); err != nil {
			return errors.Join(err, stop())
		}
		if err := awaitReady(ctx, consumers...); err != nil {
			return errors.Join(err, stop())
		}
	}
	return errors.Join(allAnswered(ctx, r), stop())
}

// killOnceSeen lets both consumers begin to pay the same order, and kills the database when the
// one that comes second looks up what the first has done.
func killOnceSeen(ctx context.Context, r *faults.Rig) error {
	if err := refuseSome(ctx, r); err != nil {
		return err
	}
	held := r.Database.Add(mysqlproxy.Containing("START TRANSACTION"), mysqlproxy.Hold(),
		rule.Always())
	defer held.Release()
	o := r.Sender.Order()
	sendTogether(ctx, r, copiesOf(o, copies)...)
	// While the group still settles, one consumer may have all queues; both of its committers
	// then do as well.
	_ = faults.Until(ctx, "racers at the start", gatherLimit, func() bool {
		return held.Fired() >= committers
	})
	seen := r.Database.Next(mysqlproxy.Containing(
		fmt.Sprintf("p.serial_no IN ('%s'", o.Serial)), mysqlproxy.Pass())
	defer seen.Remove()
	held.Remove()
	held.Release()
	select {
	case <-seen.Done():
	case <-time.After(trafficLimit):
		return errors.New("nobody has looked up an order that was paid twice")
	case <-ctx.Done():
		return ctx.Err()
	}
	time.Sleep(time.Duration(r.Random.Int64N(int64(answered))))
	if err := r.Stack.Kill(devstack.MySQL); err != nil {
		return err
	}
	r.Journal.Fired("killed as seen", "the lookup that came second")
	return nil
}

// refuseSome lets both consumers refuse orders. After that they look for orders that are paid at
// once: to lose a unique key first takes so long that the payment of the other is on the disk.
func refuseSome(ctx context.Context, r *faults.Rig) error {
	orders := newOrders(r, 4*copies)
	for i := range orders {
		orders[i].Payee = orders[i].Payer
	}
	sendTogether(ctx, r, orders...)
	return allAnswered(ctx, r)
}

// keepLogBusy lets sessions of the administrator's commit without end, until the returned function
// is called: then a commit has to wait for the one before it to be written, and what is written is
// much.
func keepLogBusy(ctx context.Context, r *faults.Rig) (stop func() error, err error) {
	if _, err := r.SQL.ExecContext(ctx, `CREATE TABLE busy (
  id INT PRIMARY KEY, n BIGINT, filler LONGBLOB);
INSERT INTO busy (id, n) VALUES (1, 0), (2, 0), (3, 0), (4, 0)`); err != nil {
		return nil, err
	}
	busy, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	for id := range busySessions {
		sessions.Go(func() {
			for busy.Err() == nil {
				if _, err := r.SQL.ExecContext(busy, `UPDATE busy SET n = n + 1,
filler = REPEAT(CHAR(65 + n % 26), ?) WHERE id = ?`, busyBytes, id+1); err != nil {
					rest(busy, 50*time.Millisecond) // the database is away
				}
			}
		})
	}
	return func() error {
		cancel()
		sessions.Wait()
		_, err := r.SQL.ExecContext(context.WithoutCancel(ctx), "DROP TABLE busy")
		return err
	}, nil
}
