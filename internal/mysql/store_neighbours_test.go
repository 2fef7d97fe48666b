package mysql

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// An account that another session keeps locked holds up those who need it, and nobody else in the
// batch.
func TestStore_LockedAccount(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee", "stuck")
	s := f.store(t, func(c *Config) { c.LockWait = time.Second })
	tx := f.hold(t, "SELECT * FROM accounts WHERE account_id = 'stuck' FOR UPDATE")
	reqs := []payment.Request{
		pay("A"), requestFor("B", "O-B", "stuck", "payee", 10), pay("C"),
		requestFor("D", "O-D", "payer", "stuck", 10),
	}
	answers, err := s.Commit(t.Context(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []idem.Verdict{idem.Decided, idem.Retry, idem.Decided, idem.Retry} {
		if a := answers[i]; a.Verdict != want ||
			errors.Is(a.Err, errAccountLocked) != (want == idem.Retry) {
			t.Errorf("request %d: %+v, want verdict %d", i, a, want)
		}
	}
	f.expectPaid(t, 2)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 3} {
		if a := commitOne(t, s, reqs[i]); a.Verdict != idem.Decided {
			t.Errorf("request %d, when the account is free: %+v", i, a)
		}
	}
	if n := f.number(t, "SELECT COUNT(*) FROM payments WHERE status = 'paid'"); n != 4 {
		t.Errorf("%d are paid, want 4", n)
	}
	f.audited(t)
}

// A serial is declined, then another pays the order with other content, and both happen between
// the first one's lookup and its transaction: it repeats what was decided, and conflicts with
// nothing. A conflict writes no row, so that no unique key would tell.
func TestStore_ConflictOfADecidedSerial(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	f.accounts(t, 0, "poor")
	w, by := through(t, f.cfg.Address)
	g := f.guard(t, by)
	declined := requestFor("S2", "O", "poor", "payee", 10)
	r := w.Next(mysqlproxy.Containing("FROM accounts FORCE"), mysqlproxy.Hold())
	done := make(chan idem.Decision[payment.Answer], 1)
	go func() { done <- g.Process(t.Context(), declined) }()
	reached(t, r, done)
	other := f.store(t)
	if a := commitOne(t, other, declined); a.Record.Answer.Outcome != order.Declined {
		t.Errorf("S2: %+v", a)
	}
	if a := commitOne(t, other, requestFor("S1", "O", "payer", "payee", 20)); a.Record.Answer.
		Outcome != order.Paid {
		t.Errorf("S1: %+v", a)
	}
	r.Release()
	d := <-done
	if d.Verdict != idem.Duplicate || d.By != idem.ByUnique ||
		d.Record.Answer.Outcome != order.Declined {
		t.Errorf("S2 again: %+v, want a duplicate of what was declined", d)
	}
}

// A row that a newer program wrote holds up who asks for it, and nobody else in the batch.
func TestStore_UnreadableRow(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t)
	commitOne(t, s, pay("OLD"))
	commitOne(t, s, pay("NEW"))
	f.exec(t, "ALTER TABLE payments DROP CONSTRAINT ck_payments_status, "+
		"DROP CONSTRAINT ck_payments_paid_order")
	f.exec(t, "UPDATE payments SET status = 'refunded' WHERE serial_no = 'NEW'")
	g := f.guard(t)
	for serial, want := range map[string]idem.Verdict{
		"OLD": idem.Duplicate, "NEW": idem.Retry, "FRESH": idem.Decided,
	} {
		if d := g.Process(t.Context(), pay(serial)); d.Verdict != want {
			t.Errorf("%s: %+v, want verdict %d", serial, d, want)
		}
	}
	sibling := requestFor("SECOND", "O-NEW", "payer", "payee", 10)
	if d := g.Process(t.Context(), sibling); d.Verdict != idem.Retry {
		t.Errorf("a second serial of its order: %+v, want a retry", d)
	}
}

// What a session does must not depend on what is set for the whole server.
func TestOpen_PinsTheSession(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	// Other tests bear this one for the moment.
	f.exec(t, "SET GLOBAL unique_checks = 0")
	t.Cleanup(func() { f.exec(t, "SET GLOBAL unique_checks = 1") })
	db := f.open(t)
	for variable, want := range map[string]string{
		"unique_checks": "1", "autocommit": "1", "completion_type": "NO_CHAIN",
		"sql_select_limit": "18446744073709551615",
	} {
		var got string
		err := db.pool.QueryRow("SELECT @@SESSION." + variable).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", variable, got, err, want)
		}
	}
	rows, err := db.pool.Query("SHOW SESSION VARIABLES WHERE Variable_name IN " +
		"('tx_isolation', 'transaction_isolation')")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	seen := 0
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil || value != "READ-COMMITTED" {
			t.Errorf("%s is %q (%v)", name, value, err)
		}
		seen++
	}
	if err := rows.Err(); err != nil || seen == 0 {
		t.Errorf("the session says nothing of its isolation (%v)", err)
	}
}

// Each rule of the schema is kept by the server, whatever program writes.
func TestSchema_Constraints(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	row := func(serial, paidOrder, amount, status, first string) string {
		return fmt.Sprintf("INSERT INTO payments (serial_no, order_id, paid_order_id, payer, payee, "+
			"amount_minor, currency, status, first_serial, fingerprint, fingerprint_version, "+
			"created_at) VALUES ('%s', 'O', %s, 'payer', 'payee', %s, 'CNY', '%s', %s, "+
			"REPEAT('0', 32), 1, NOW(6))", serial, paidOrder, amount, status, first)
	}
	for constraint, statement := range map[string]string{
		"ck_payments_amount":       row("A", "'O'", "0", "paid", "NULL"),
		"ck_payments_status":       row("B", "NULL", "1", "pending", "NULL"),
		"ck_payments_paid_order":   row("C", "NULL", "1", "paid", "NULL"),
		"ck_payments_first_serial": row("D", "NULL", "1", "duplicate", "NULL"),
		"ck_ledger_entries_amount": "INSERT INTO ledger_entries VALUES ('A', 'payer', 0, NOW(6))",
		"ck_accounts_balance":      "UPDATE accounts SET balance_minor = -1",
		"ck_accounts_opening":      "UPDATE accounts SET opening_minor = -1",
		"ck_accounts_closed":       "UPDATE accounts SET closed = 2",
		"ck_quarantine_kind": "INSERT INTO quarantine (topic, content_hash, kind, reason, detail, " +
			"serial_no, message_key, message_id, broker, queue_id, queue_offset, attempt, body, " +
			"body_bytes, first_seen_at, last_seen_at) VALUES ('', '', 'odd', '', '', '', '', '', '', " +
			"0, 0, 0, '', 0, NOW(6), NOW(6))",
	} {
		_, err := f.root.ExecContext(t.Context(), statement)
		if classify(err) != classContent {
			t.Errorf("%s: %v, want a violated constraint", constraint, err)
		}
	}
}
