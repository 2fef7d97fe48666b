package mysql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// Another session holds the account for longer than the lock wait: the transaction is begun from
// scratch until the lock is free, and the payment is made once.
func TestStore_LockWaitTimeout(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by, func(c *Config) { c.LockWait = time.Second })
	tx := f.hold(t, "SELECT * FROM accounts WHERE account_id = 'payee' FOR UPDATE")
	done := commitAside(t.Context(), s, pay("S"))
	eventually(t, "a lock wait timeout", func() bool { return w.Errors(1205) > 0 })
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	switch err := <-done; {
	case errors.Is(err, errAccountLocked): // it was still locked at the second look
		commitOne(t, s, pay("S"))
	case err != nil:
		t.Errorf("Commit: %v", err)
	}
	f.expectPaid(t, 1)
}

// A session that locks the other way round makes a deadlock; one of the two is undone by the
// server, and the payment is made once.
func TestStore_Deadlock(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("('x', 'x%d', 1, NOW())", i))
	}
	for round := 0; w.Errors(1213) == 0; round++ {
		if round == 20 {
			t.Fatal("no deadlock hit the store in 20 rounds")
		}
		// The server undoes the transaction that has changed least, so this one changes more.
		foreign := f.hold(t, "INSERT INTO ledger_entries VALUES "+strings.Join(many, ", "),
			"SELECT * FROM accounts WHERE account_id = 'payer' FOR UPDATE")
		done := commitAside(t.Context(), s, pay(fmt.Sprint("S", round)))
		f.waiting(t) // it holds the payee and waits for the payer
		_, err := foreign.Exec("SELECT * FROM accounts WHERE account_id = 'payee' FOR UPDATE")
		if ended := foreign.Rollback(); err == nil && ended != nil {
			t.Fatal(ended)
		}
		if err := <-done; err != nil {
			t.Errorf("Commit: %v", err)
		}
	}
	f.expectPaid(t, f.number(t, "SELECT COUNT(*) FROM payments"))
}

// A consumer that stands still inside a transaction loses its session, and with it the locks.
func TestStore_SilentSessionLosesItsLocks(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	paused := f.store(t, by, func(c *Config) {
		c.LockWait, c.ReadTimeout = time.Second, 5*time.Second
		c.SessionTimeout, c.IdleTime = 6*time.Second, time.Second
	})
	r := w.Next(mysqlproxy.Containing("INSERT INTO payments"), mysqlproxy.Hold())
	done := commitAside(t.Context(), paused, pay("S"))
	reached(t, r, done)
	other := f.store(t)
	if a := commitOne(t, other, pay("T")); a.Record.Answer.Outcome != order.Paid {
		t.Errorf("the other consumer: %+v", a)
	}
	r.Release()
	if err := <-done; !errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("the paused consumer: %v, want ErrUnavailable", err)
	}
	f.expectPaid(t, 1)
}

// A table that stays locked, by a migration or a backup, is the contention of one attempt and not
// a session that hangs on the server for ever.
func TestStore_TableLock(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	// The table is free before the last of four attempts has waited.
	s := f.store(t, by, func(c *Config) { c.LockWait = 3 * time.Second })
	conn, err := f.root.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "LOCK TABLES payments WRITE"); err != nil {
		t.Fatal(err)
	}
	done := commitAside(t.Context(), s, pay("S"))
	eventually(t, "a lock wait timeout", func() bool { return w.Errors(1205) > 0 })
	if _, err := conn.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Commit: %v", err)
	}
	f.expectPaid(t, 1)
}
