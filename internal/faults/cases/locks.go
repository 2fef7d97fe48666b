package cases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

const (
	// lockWaits is more often than the service begins a transaction anew by itself: so the order
	// has gone through the guard again as well.
	lockWaits = 6
	// paidBeside is how many other orders are paid while one cannot be.
	paidBeside = 10
)

// lockAccount keeps the row of a payer locked until the service has given up waiting for it again
// and again. That order is not decided meanwhile, and is paid afterwards; orders of other accounts
// are paid all the while, and nothing is held.
func lockAccount(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx, "PAYMENT_MYSQL_LOCK_WAIT_TIMEOUT_SECONDS=1")
	if err != nil {
		return err
	}
	locked := r.Sender.Order()
	tx, err := lockFirst(ctx, r, locked.Payer)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	before := r.Database.Errors(lockWaitTimeout)
	m := r.Sender.Send(ctx, locked)
	timeouts, beside := 0, 0
	for timeouts < lockWaits || beside < paidBeside {
		if err := paysBeside(ctx, r, c, locked); err != nil {
			return fmt.Errorf("after %d timeouts: %w", timeouts, err)
		}
		timeouts, beside = r.Database.Errors(lockWaitTimeout)-before, beside+1
	}
	r.Journal.FiredTimes("lock wait timeout", timeouts, "the server's errors")
	r.Say("%d orders were paid beside an account that was locked for %d timeouts", beside, timeouts)
	if err := tx.Rollback(); err != nil {
		return err
	}
	return told(ctx, r, order.Paid, m)
}

// paysBeside wants an order of other accounts to be paid while one is locked, and the order of that
// one to be left alone.
func paysBeside(
	ctx context.Context, r *faults.Rig, c *faults.Consumer, locked order.Order,
) error {
	if err := told(ctx, r, order.Paid, r.Sender.Send(ctx, apart(r, locked))); err != nil {
		return err
	}
	switch {
	case inDatabase(ctx, r, locked):
		return errors.New("an order was decided although its payer's account is locked")
	case c.Says("holding all messages"):
		return errors.New("everybody was held because of one account")
	}
	return nil
}

// apart makes an order that shares no account with another one. The payee counts too: whoever
// waits for the payer's row holds it.
func apart(r *faults.Rig, from order.Order) order.Order {
	for {
		if o := r.Sender.Order(); o.Payer != from.Payer && o.Payee != from.Payee {
			return o
		}
	}
}

// lockFirst begins a transaction of the rig's own that locks an account.
func lockFirst(ctx context.Context, r *faults.Rig, id order.Account) (*sql.Tx, error) {
	return beginWith(ctx, r, func(tx *sql.Tx) error { return lock(ctx, tx, id) })
}

// beginWith begins a transaction of the rig's own that takes something.
func beginWith(
	ctx context.Context, r *faults.Rig, take func(*sql.Tx) error,
) (*sql.Tx, error) {
	tx, err := r.SQL.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, err
	}
	if err := take(tx); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

func lock(ctx context.Context, tx *sql.Tx, id order.Account) error {
	var found string
	return tx.QueryRowContext(ctx,
		"SELECT account_id FROM accounts WHERE account_id = ? FOR UPDATE", id).Scan(&found)
}

// deadlocks is how many of its transactions the service loses.
const deadlocks = 20

// crossLocks provokes deadlocks until the service has lost so many. Each costs an order no more
// than a new transaction: it is paid at its first delivery, and not on the ruins of the old one.
func crossLocks(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 50, Repeat: 0.2, Alter: 0.02})
	defer stop()
	before := r.Database.Errors(deadlocked)
	lost := func() int { return r.Database.Errors(deadlocked) - before }
	defer func() {
		r.Journal.FiredTimes("deadlock", lost(), "the server's errors to the consumer")
	}()
	for lost() < deadlocks {
		if err := errors.Join(crossOnce(ctx, r), crossLate(ctx, r)); err != nil {
			return fmt.Errorf("after %d deadlocks: %w", lost(), err)
		}
	}
	return nil
}

// crossOnce stops an order that was in a deadlock before its insert. If it were no new transaction
// that does it, the server would have given the order's locks up with the old one.
func crossOnce(ctx context.Context, r *faults.Rig) error {
	o := r.Sender.Order()
	insert := r.Database.Next(mysqlproxy.Containing(rowOf(o)), mysqlproxy.Hold())
	defer insert.Release()
	m, err := cross(ctx, r, o)
	if err != nil {
		return err
	}
	if err := awaitDone(ctx, insert.Reached(), "the order's insert"); err != nil {
		return err
	}
	if err := keptLocked(ctx, r, o.Payer); err != nil {
		return err
	}
	insert.Release()
	return paidAtFirst(ctx, r, m)
}

// crossLate lets an order lose when its payment is inserted already: at its entries, of which the
// rig holds one. The server undoes all of that; whoever then goes on with the entries commits them
// without their payment.
func crossLate(ctx context.Context, r *faults.Rig) error {
	o := r.Sender.Order()
	m, err := crossWith(ctx, r, o, o.Payer, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO ledger_entries
(serial_no, account_id, amount_minor, created_at) VALUES (?, ?, 1, UTC_TIMESTAMP(6))`,
			o.Serial, o.Payee)
		return err
	})
	if err != nil {
		return err
	}
	return paidAtFirst(ctx, r, m)
}

func paidAtFirst(ctx context.Context, r *faults.Rig, m faults.Message) error {
	got, err := firstAnswer(ctx, r, m)
	if err == nil && (got.Outcome != order.Paid || got.Attempt != 1) {
		err = fmt.Errorf("an order whose transaction was lost was %s at attempt %d, want it paid "+
			"at the first", got.Outcome, got.Attempt)
	}
	return err
}

// keptLocked wants an account to be locked by somebody else.
func keptLocked(ctx context.Context, r *faults.Rig, id order.Account) error {
	const lockedNow = 3572 // what MySQL says to those who do not wait
	var found string
	err := r.SQL.QueryRowContext(ctx,
		"SELECT account_id FROM accounts WHERE account_id = ? FOR UPDATE NOWAIT", id).Scan(&found)
	if err == nil {
		return errors.New("an order is about to be paid, and its payer's account is not locked")
	}
	if isCode(err, lockWaitTimeout) || isCode(err, lockedNow) {
		return nil
	}
	return err
}

// ballast makes a transaction heavy: of those that wait for each other the server ends the one
// that has changed the least.
func ballast() []string {
	return []string{
		"CREATE TEMPORARY TABLE IF NOT EXISTS ballast (n INT) ENGINE = InnoDB",
		"INSERT INTO ballast VALUES (0)" + strings.Repeat(",(0)", 999),
	}
}

// cross locks the account that the service locks last, and asks for the one that it locks first.
func cross(ctx context.Context, r *faults.Rig, o order.Order) (faults.Message, error) {
	first, last := min(o.Payer, o.Payee), max(o.Payer, o.Payee)
	return crossWith(ctx, r, o, first, func(tx *sql.Tx) error { return lock(ctx, tx, last) })
}

// crossWith takes something that the service will need, sends an order, waits until the service
// waits, and then asks for an account that the service has.
func crossWith(
	ctx context.Context, r *faults.Rig, o order.Order, wanted order.Account,
	take func(*sql.Tx) error,
) (m faults.Message, err error) {
	tx, err := beginWith(ctx, r, take)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	for _, statement := range ballast() {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return m, err
		}
	}
	m = r.Sender.Send(ctx, o)
	if err := faults.Until(ctx, "the service to wait for the rig", soon, func() bool {
		n, err := r.Transactions(ctx, "trx_state = 'LOCK WAIT'")
		return err == nil && n > 0
	}); err != nil {
		return m, err
	}
	// Whether this is a deadlock, and who loses it, is counted where the service's errors pass: it
	// may also have been another order that waited.
	_ = lock(ctx, tx, wanted)
	return m, nil
}
