package mysql

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/migrations"
)

// archiver opens the database as the archive's own user.
func (f *fixture) archiver(t *testing.T, batch int, change ...func(*Config)) *Archive {
	t.Helper()
	user := env("PAYMENT_ARCHIVE_USER", "payment_archive")
	if err := GrantArchive(t.Context(), f.rootOf(t), migrations.Files, user); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, table := range []string{"ledger_entries", "ledger_entries_archive", "quarantine",
			"quarantine_archive", "ledger_epoch", "schema_migrations"} {
			_, _ = f.root.Exec(fmt.Sprintf("REVOKE ALL PRIVILEGES ON %s.%s FROM '%s'@'%%'",
				f.name, table, user))
		}
	})
	db := f.open(t, append(change, func(c *Config) {
		c.User, c.Password = user, os.Getenv("PAYMENT_ARCHIVE_PASSWORD")
	})...)
	return NewArchive(db, time.Now().AddDate(0, 0, -30), batch)
}

// aged makes what is there older, except some serials.
func (f *fixture) aged(t *testing.T, days int, except ...string) {
	t.Helper()
	f.exec(t, "UPDATE ledger_entries SET created_at = created_at - INTERVAL ? DAY", days)
	f.exec(t, "UPDATE payments SET created_at = created_at - INTERVAL ? DAY", days)
	for _, serial := range except {
		f.exec(t, "UPDATE ledger_entries SET created_at = UTC_TIMESTAMP(6) WHERE serial_no = ?", serial)
	}
}

// toTheEnd takes all steps and returns the sum.
func toTheEnd[K any](
	t *testing.T, from K, step func(K) (K, Moved, error),
) (total Moved) {
	t.Helper()
	for range 10_000 {
		next, moved, err := step(from)
		if err != nil {
			t.Fatal(err)
		}
		total.Rows, total.Seen, from = total.Rows+moved.Rows, total.Seen+moved.Seen, next
		if moved.Done {
			return total
		}
	}
	t.Fatal("the archive never comes to the end")
	return total
}

func (a *Archive) allEntries(t *testing.T) Moved {
	t.Helper()
	return toTheEnd(t, EntryKey{}, func(from EntryKey) (EntryKey, Moved, error) {
		return a.Entries(t.Context(), from)
	})
}

// What is old moves, whatever the batch; the ledger stays right, and
// every serial is as unpayable as before.
func TestArchive_Entries(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 2, 3, 7, 200, MaxArchiveBatch} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			t.Parallel()
			f := newDatabase(t)
			f.accounts(t, 100_000, "payer", "payee")
			s := f.store(t)
			const total, young = 60, 3
			var reqs []payment.Request
			for _, serial := range serialsOf("S", total) {
				reqs = append(reqs, pay(serial))
			}
			if _, err := s.Commit(t.Context(), reqs); err != nil {
				t.Fatal(err)
			}
			f.aged(t, 31, "S-0", "S-17", "S-59")
			a := f.archiver(t, batch)
			moved := a.allEntries(t)
			if want := (Moved{Rows: 2 * (total - young), Seen: 2 * total}); moved != want {
				t.Errorf("moved %+v, want %+v", moved, want)
			}
			if n := f.number(t, "SELECT COUNT(*) FROM ledger_entries_archive"); n != moved.Rows {
				t.Errorf("%d rows in the archive", n)
			}
			if again := a.allEntries(t); again.Rows != 0 || again.Seen != 2*young {
				t.Errorf("a second run moved %+v", again)
			}
			f.audited(t)
			repeat, err := s.Commit(t.Context(), reqs[1:2])
			if !errors.Is(err, idem.ErrRaced) {
				t.Errorf("a repeat of an archived payment: %+v, %v", repeat, err)
			}
			other, err := s.Commit(t.Context(), []payment.Request{
				requestFor("OTHER", "O-S-1", "payer", "payee", 10)})
			if err != nil || other[0].Record.Answer.Outcome != order.Duplicate {
				t.Errorf("the order of an archived payment under another serial: %+v, %v", other, err)
			}
			trace, err := s.db.Trace(t.Context(), "S-1")
			if err != nil || len(trace.Entries) != 2 || !trace.Entries[0].Archived {
				t.Errorf("what is known of an archived payment: %+v, %v", trace, err)
			}
		})
	}
}

// The audit counts the archive, and sees what is missing from it, or is there and in the ledger too.
func TestArchive_Audit(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t)
	commitOne(t, s, pay("A"))
	commitOne(t, s, pay("B"))
	f.aged(t, 31)
	f.archiver(t, 10).allEntries(t)
	f.audited(t)
	const copied = "INSERT INTO ledger_entries SELECT * FROM ledger_entries_archive WHERE serial_no = 'A'"
	for name, c := range map[string]struct {
		harm, mend string
		rules      []string
	}{
		"Lost": {"UPDATE ledger_entries_archive SET serial_no = 'X' WHERE serial_no = 'A'",
			"UPDATE ledger_entries_archive SET serial_no = 'A' WHERE serial_no = 'X'", []string{"I2"}},
		"Twice": {copied, "DELETE FROM ledger_entries", []string{"I2", "I3"}},
		"Changed": {"UPDATE ledger_entries_archive SET amount_minor = amount_minor * 2 WHERE serial_no = 'A'",
			"UPDATE ledger_entries_archive SET amount_minor = amount_minor / 2 WHERE serial_no = 'A'",
			[]string{"I2", "I3"}},
	} {
		f.exec(t, c.harm)
		findings, err := s.db.Audit(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var violated []string
		for _, finding := range findings {
			if finding.Violations > 0 {
				violated = append(violated, finding.Rule)
			}
		}
		if diff := cmp.Diff(c.rules, violated); diff != "" {
			t.Errorf("%s: violated rules (-want +got):\n%s", name, diff)
		}
		f.exec(t, c.mend)
		f.audited(t)
	}
}

// A step that fails anywhere moves nothing, and one that fails after its COMMIT has moved all.
func TestArchive_Faults(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t)
	commitOne(t, s, pay("A"))
	f.aged(t, 31)
	w, by := through(t, f.cfg.Address)
	a := f.archiver(t, 10, by)
	for _, statement := range []string{
		"ORDER BY account_id, serial_no", "FORCE INDEX (PRIMARY) WHERE (account_id, serial_no)",
		"INSERT INTO ledger_entries_archive",
		"DELETE FROM ledger_entries", "COMMIT",
	} {
		r := w.Next(mysqlproxy.Containing(statement), mysqlproxy.Refuse(1290))
		if _, _, err := a.Entries(t.Context(), EntryKey{}); !errors.Is(err, idem.ErrUnavailable) {
			t.Errorf("%s: %v", statement, err)
		}
		met(t, r)
		if n := f.number(t, "SELECT COUNT(*) FROM ledger_entries"); n != 2 {
			t.Errorf("%s: %d entries are left", statement, n)
		}
		f.audited(t)
	}
	if moved := a.allEntries(t); moved.Rows != 2 {
		t.Errorf("moved %+v", moved)
	}
	f.audited(t)
}

// Consumers pay, and two archivers move, at the same time.
func TestArchive_UnderLoad(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 100_000, "payer", "payee")
	s := f.store(t)
	for round := range 5 {
		var reqs []payment.Request
		for _, serial := range serialsOf(fmt.Sprintf("OLD-%d", round), 100) {
			reqs = append(reqs, pay(serial))
		}
		if _, err := s.Commit(t.Context(), reqs); err != nil {
			t.Fatal(err)
		}
	}
	f.aged(t, 31)
	var wg sync.WaitGroup
	for range 2 {
		a := f.archiver(t, 20)
		wg.Go(func() {
			for from := (EntryKey{}); ; {
				next, moved, err := a.Entries(t.Context(), from)
				switch {
				case errors.Is(err, idem.ErrRaced): // the other one has moved them
					continue
				case err != nil && !errors.Is(err, errMoved):
					t.Error(err)
					return
				case err != nil:
					continue
				case moved.Done:
					return
				}
				from = next
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			commitOne(t, s, pay(fmt.Sprintf("NEW-%d", i)))
		}
	})
	wg.Wait()
	if n := f.number(t, "SELECT COUNT(*) FROM ledger_entries_archive"); n != 1000 {
		t.Errorf("%d rows in the archive, want 1,000", n)
	}
	if n := f.number(t, "SELECT COUNT(*) FROM ledger_entries"); n != 100 {
		t.Errorf("%d young entries, want 100", n)
	}
	f.audited(t)
}

// Messages that somebody has seen to move; those that are open, or young, stay.
func TestArchive_Quarantine(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	q := NewQuarantine(f.open(t))
	put := func(body string) Item {
		t.Helper()
		err := q.Put(t.Context(), payment.Quarantined{
			Message: payment.Message{Topic: "T", Body: []byte(body)},
			Kind:    payment.KindRejected, Reason: "bad_json", At: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		items, err := q.List(t.Context(), Filter{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return items[len(items)-1]
	}
	put("open and old")
	for body, state := range map[string]State{"replayed": StateReplayed, "discarded": StateDiscarded} {
		if err := q.Resolve(t.Context(), put(body), state); err != nil {
			t.Fatal(err)
		}
	}
	f.exec(t, `UPDATE quarantine SET first_seen_at = first_seen_at - INTERVAL 31 DAY,
  last_seen_at = last_seen_at - INTERVAL 31 DAY, resolved_at = resolved_at - INTERVAL 31 DAY`)
	if err := q.Resolve(t.Context(), put("young"), StateDiscarded); err != nil {
		t.Fatal(err)
	}
	a := f.archiver(t, 2)
	all := func() Moved {
		return toTheEnd(t, 0, func(from int64) (int64, Moved, error) {
			return a.Quarantine(t.Context(), from)
		})
	}
	if moved := all(); moved.Rows != 2 || moved.Seen != 4 {
		t.Errorf("moved %+v, want 2 of 4", moved)
	}
	// The same content comes again, is seen to again, and grows old again.
	if err := q.Resolve(t.Context(), put("replayed"), StateDiscarded); err != nil {
		t.Fatal(err)
	}
	f.exec(t, `UPDATE quarantine SET last_seen_at = last_seen_at - INTERVAL 31 DAY,
  resolved_at = resolved_at - INTERVAL 31 DAY WHERE body = 'replayed'`)
	if moved := all(); moved.Rows != 1 {
		t.Errorf("moved %+v, want 1", moved)
	}
	if n := f.number(t, "SELECT COUNT(*) FROM quarantine_archive WHERE body = 'replayed'"); n != 2 {
		t.Errorf("%d of the content that came twice", n)
	}
}

// The archive's user can move what is old, and nothing else: no payment, no balance, and nothing
// that is in the archive.
func TestArchive_Grants(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	commitOne(t, f.store(t), pay("S"))
	a := f.archiver(t, 10)
	for _, statement := range []string{
		"SELECT * FROM payments", "DELETE FROM payments", "UPDATE payments SET amount_minor = 1",
		"INSERT INTO payments SELECT * FROM payments", "SELECT * FROM accounts",
		"UPDATE accounts SET balance_minor = 1", "DELETE FROM accounts",
		"UPDATE ledger_entries SET amount_minor = 1", "INSERT INTO ledger_entries VALUES ('X','payer',1,NOW())",
		"UPDATE quarantine SET state = 'open'", "DELETE FROM ledger_entries_archive",
		"UPDATE ledger_entries_archive SET amount_minor = 1", "DELETE FROM quarantine_archive",
		"UPDATE quarantine_archive SET body = ''", "UPDATE ledger_epoch SET epoch = 'x'",
		"UPDATE read_barrier SET passed = 1", "DROP TABLE ledger_entries", "TRUNCATE TABLE ledger_entries",
	} {
		_, err := a.db.pool.ExecContext(t.Context(), statement)
		if err == nil || !errors.Is(explain("try", err), ErrRefused) {
			t.Errorf("%s: %v, want it denied", statement, err)
		}
	}
	f.expectPaid(t, 1)
	app := f.open(t)
	for _, statement := range []string{
		"DELETE FROM ledger_entries_archive", "INSERT INTO ledger_entries_archive SELECT * FROM ledger_entries",
		"UPDATE quarantine_archive SET body = ''", "DELETE FROM quarantine_archive",
	} {
		_, err := app.pool.ExecContext(t.Context(), statement)
		if err == nil || !errors.Is(explain("try", err), ErrRefused) {
			t.Errorf("as the consumer's user: %s: %v, want it denied", statement, err)
		}
	}
}
