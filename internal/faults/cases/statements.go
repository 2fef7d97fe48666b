package cases

import (
	"context"
	"fmt"
	"sync"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// errorCodes are errors of every class that the service tells apart, whether or not a server would
// give them at every statement, and of those that it does not know.
func errorCodes() []uint16 {
	return []uint16{
		deadlocked, lockWaitTimeout, snapshotChanged, // lost against another transaction
		duplicateKey, 1586, // duplicate entry
		1048, 1264, 1292, incorrectValue, 1406, 1690, // no value, or one that does not fit
		3819, 4025, // a CHECK, as MySQL and as MariaDB call it
		tooManyConnections, 1226, 1045, 1142, 1146, // nobody gets in, or may do anything
		1053, 1927, 2006, 2013, 4031, // the server or the connection goes away
		1021, tableFull, readOnly, 1792, 1836, // full, read-only
		1030, 1105, 1180, 1317, unheardOf, // whatever
	}
}

// refuseStatements answers each statement with each error, one at a time and under load. It costs
// nobody anything but time: everything is paid, nothing but conflicts is put into quarantine.
func refuseStatements(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	const notPaid = `SELECT (SELECT COUNT(*) FROM payments WHERE status <> 'paid')
  + (SELECT COUNT(*) FROM quarantine WHERE kind <> 'conflict')`
	before, err := count(ctx, r, notPaid)
	if err != nil {
		return err
	}
	first := len(r.Record.All())
	stop := sync.OnceValue(r.Sender.Background(ctx,
		faults.Mix{PerSecond: 100, Repeat: 0.1, Alter: 0.1}))
	defer stop()
	for _, code := range errorCodes() {
		if err := refuseEach(ctx, r, code); err != nil {
			return err
		}
	}
	if err := refuseUnknown(ctx, r); err != nil {
		return err
	}
	stop()
	if err := awaitAnswers(ctx, r, "all orders", r.Record.All()[first:]...); err != nil {
		return err
	}
	after, err := count(ctx, r, notPaid)
	if err == nil && after != before {
		err = fmt.Errorf("%d orders are declined, rejected or given up because of the database's "+
			"errors", after-before)
	}
	return err
}

// refuseEach answers each statement once with an error, and once a COMMIT that was carried out.
func refuseEach(ctx context.Context, r *faults.Rig, code uint16) error {
	matches := append(transactionStatements(), mysqlproxy.Containing("INSERT INTO quarantine"))
	for _, match := range matches {
		what := fmt.Sprintf("%d at %s", code, match.Statement)
		refused := r.Database.Next(match, mysqlproxy.Refuse(code))
		if err := awaitDone(ctx, refused.Done(), what); err != nil {
			return err
		}
		r.Journal.Fired("error at a statement", what)
	}
	what := fmt.Sprintf("%d after COMMIT", code)
	lie := r.Database.Next(paymentCommit(), mysqlproxy.Lie(code))
	if err := awaitDone(ctx, lie.Done(), what); err != nil {
		return err
	}
	r.Journal.Fired("error after COMMIT", what)
	return nil
}

// unknownTries is more often than a delivery tries its order.
const unknownTries = 10

// refuseUnknown refuses one order with an error that nobody knows, through several deliveries. It
// comes again and again, and is paid when it can be.
func refuseUnknown(ctx context.Context, r *faults.Rig) error {
	o := r.Sender.Order()
	broken := failing(r, o, unheardOf)
	m := r.Sender.Send(ctx, o)
	_, err := await(ctx, fmt.Sprint(unknownTries, " tries"), func() (faults.Kept, bool, error) {
		kept, found, err := r.Kept(ctx, m.ID)
		if found {
			err = fmt.Errorf("after %d tries it is in quarantine as %s (%s)", broken.Fired(), kept.Kind,
				kept.Reason)
		}
		return kept, broken.Fired() >= unknownTries, err
	})
	broken.Remove()
	if err != nil {
		return err
	}
	r.Journal.FiredTimes("error that nobody knows", broken.Fired(), "the proxy")
	got, err := firstAnswer(ctx, r, m)
	if err == nil && (got.Outcome != order.Paid || got.Attempt == 1) {
		err = fmt.Errorf("an order that failed in a way that nobody knows was %s at attempt %d",
			got.Outcome, got.Attempt)
	}
	return err
}
