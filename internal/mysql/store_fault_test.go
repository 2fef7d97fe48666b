package mysql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// statements are what a commit sends, in order, each by a text that no other one has: with a look
// for orders that are paid, or without.
func statements(looks bool) []string {
	all := []string{
		"SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION",
		"FROM accounts FORCE", looking, "INSERT INTO payments", "INSERT INTO ledger_entries",
		"INSERT INTO accounts", "COMMIT",
	}
	if looks {
		return all
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == looking })
}

const looking = "WHERE p.paid_order_id IN"

// bothWays runs a test of commits that look for orders that are paid, and of those that do not.
func bothWays(t *testing.T, test func(t *testing.T, looks bool)) {
	t.Helper()
	for name, looks := range map[string]bool{"Looking": true, "NotLooking": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, looks)
		})
	}
}

// Each error at each statement: it says what the guard must do, nothing is left behind, and the
// same request is paid once afterwards.
func TestStore_EachErrorAtEachStatement(t *testing.T) {
	t.Parallel()
	bothWays(t, testEachError)
}

func testEachError(t *testing.T, looks bool) {
	t.Helper()
	f := newDatabase(t)
	f.accounts(t, 1<<40, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	var mu sync.Mutex
	again := map[string]int{}
	s := f.store(t, by, func(c *Config) {
		c.OnRetry = func(class string) {
			mu.Lock()
			defer mu.Unlock()
			again[class]++
		}
	})
	retried := errors.New("retried by the store itself")
	raced := idem.ErrRaced
	if !looks {
		raced = retried // with a look, which finds nothing
	}
	paid := int64(0)
	for code, want := range map[uint16]error{
		1062: raced, 1213: retried, 1205: retried, 1020: retried,
		1264: idem.ErrContent, 3819: idem.ErrContent, 4025: idem.ErrContent,
		1040: idem.ErrUnavailable, 1290: idem.ErrUnavailable, 1114: idem.ErrUnavailable,
		1053: idem.ErrUnavailable, 1317: nil, 9999: nil,
	} {
		for i, statement := range statements(looks) {
			name := fmt.Sprintf("S%d-%d", code, i)
			if code == 1062 && statement == "INSERT INTO ledger_entries" {
				continue // stray entries, which have a test of their own
			}
			r := w.Next(mysqlproxy.Containing(statement), mysqlproxy.Refuse(code))
			s.looks.Store(looks)
			_, err := s.Commit(t.Context(), []payment.Request{pay(name)})
			met(t, r)
			expectFault(t, name+" at "+statement, err, want, retried)
			paid++
			if errors.Is(want, retried) {
				continue // and paid
			}
			if a := commitOne(t, s, pay(name)); a.Record.Answer.Outcome != order.Paid {
				t.Errorf("%s at %s: afterwards: %+v", name, statement, a)
			}
		}
	}
	f.expectPaid(t, paid)
	once := len(statements(looks))
	want := map[string]int{"deadlock": once, "lock_wait": once, "snapshot": once}
	if !looks {
		want["look"] = once - 1 // without the stray entries
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("transactions that began again (-want +got):\n%s", diff)
	}
}

func expectFault(t *testing.T, what string, err, want, retried error) {
	t.Helper()
	if errors.Is(want, retried) {
		if err != nil {
			t.Errorf("%s: %v, want another attempt", what, err)
		}
		return
	}
	if err == nil || strings.Contains(err.Error(), mysqlproxy.ErrorText) {
		t.Errorf("%s: %v, want an error without the server's text", what, err)
	}
	for _, kind := range []error{idem.ErrRaced, idem.ErrContent, idem.ErrUnavailable} {
		if got := errors.Is(err, kind); got != errors.Is(want, kind) {
			t.Errorf("%s: %v, is %v: %t", what, err, kind, got)
		}
	}
}

// The connection breaks before and after each statement. Whether or not the work was committed,
// the request is paid exactly once in the end, and the unique key decides that.
func TestStore_CutAtEachStatement(t *testing.T) {
	t.Parallel()
	bothWays(t, testCuts)
}

func testCuts(t *testing.T, looks bool) {
	t.Helper()
	f := newDatabase(t)
	f.accounts(t, 1<<40, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	cuts := map[string]mysqlproxy.Fate{
		"before": mysqlproxy.CutBefore(), "after": mysqlproxy.CutAfter(),
	}
	for i, statement := range statements(looks) {
		for when, cut := range cuts {
			serial := fmt.Sprintf("S%d-%s", i, when)
			r := w.Next(mysqlproxy.Containing(statement), cut)
			s.looks.Store(looks)
			_, err := s.Commit(t.Context(), []payment.Request{pay(serial)})
			met(t, r)
			if !errors.Is(err, idem.ErrUnavailable) {
				t.Errorf("cut %s %s: %v, want ErrUnavailable", when, statement, err)
			}
			committed := statement == "COMMIT" && when == "after"
			s.looks.Store(looks)
			_, err = s.Commit(t.Context(), []payment.Request{pay(serial)})
			if committed != errors.Is(err, idem.ErrRaced) || (!committed && err != nil) {
				t.Errorf("cut %s %s: again: %v", when, statement, err)
			}
		}
	}
	f.expectPaid(t, int64(2*len(statements(looks))))
}

// After a COMMIT whose answer was an error, nobody may go on with the connection: if its
// transaction were still open, the next BEGIN would commit it, and its locks would stay till then.
func TestStore_FailedCommitEndsTheConnection(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by, func(c *Config) { c.MaxOpen = 1 })
	r := w.Next(mysqlproxy.Containing("COMMIT"), mysqlproxy.Refuse(1180))
	if _, err := s.Commit(t.Context(), []payment.Request{pay("A")}); err == nil {
		t.Fatal("a refused COMMIT was taken for a success")
	}
	met(t, r)
	if a := commitOne(t, s, pay("B")); a.Record.Answer.Outcome != order.Paid {
		t.Errorf("B: %+v", a)
	}
	f.expectPaid(t, 1)

	r = w.Next(mysqlproxy.Containing("COMMIT"), mysqlproxy.Lie(1180)) // it was carried out all the same
	if _, err := s.Commit(t.Context(), []payment.Request{pay("A")}); err == nil {
		t.Fatal("a refused COMMIT was taken for a success")
	}
	met(t, r)
	if _, err := s.Commit(t.Context(), []payment.Request{pay("A")}); !errors.Is(err, idem.ErrRaced) {
		t.Errorf("A again: %v, want ErrRaced", err)
	}
	f.expectPaid(t, 2)
}

// An operator kills the session in the middle: nothing is left, and the next attempt pays.
func TestStore_KilledSession(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	r := w.Next(mysqlproxy.Containing("INSERT INTO accounts"), mysqlproxy.Hold())
	done := commitAside(t.Context(), s, pay("S"))
	reached(t, r, done)
	id := f.number(t, "SELECT id FROM information_schema.processlist "+
		"WHERE db = ? AND user = ?", f.name, f.cfg.User)
	f.exec(t, fmt.Sprint("KILL ", id))
	r.Release()
	if err := <-done; !errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("Commit in a killed session: %v, want ErrUnavailable", err)
	}
	f.expectPaid(t, 0)
	commitOne(t, s, pay("S"))
	f.expectPaid(t, 1)
}

// Nothing can be written in a read-only session, as on a replica: that is an outage.
func TestStore_ReadOnly(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t, func(c *Config) { c.MaxOpen = 1 })
	if _, err := s.db.pool.Exec("SET SESSION TRANSACTION READ ONLY"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), []payment.Request{pay("S")}); !errors.Is(
		err, idem.ErrUnavailable) || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("Commit: %v, want ErrUnavailable that says read-only", err)
	}
	f.expectPaid(t, 0)
}

// A COMMIT that is stuck on the way is given up by the client, and its transaction lives on at the
// server: a lookup finds nothing, and yet the payment is made. The unique key tells.
func TestStore_ZombieTransaction(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by, func(c *Config) {
		c.LockWait, c.ReadTimeout = 3*time.Second, 5*time.Second
	})
	r := w.Next(mysqlproxy.Containing("COMMIT"), mysqlproxy.Hold())
	stuck := commitAside(t.Context(), s, pay("S"))
	reached(t, r, stuck)
	select {
	case err := <-stuck:
		if !errors.Is(err, idem.ErrUnavailable) {
			t.Errorf("stuck COMMIT: %v, want ErrUnavailable", err)
		}
	case <-time.After(s.timeout):
		t.Error("a COMMIT without an answer has no limit")
	}
	other := f.store(t)
	if found, err := other.Find(t.Context(), []idem.Key{"S"}); err != nil || len(found) != 0 {
		t.Errorf("Find: %d records, %v, want none yet", len(found), err)
	}
	done := commitAside(t.Context(), other, pay("S"))
	f.waiting(t) // for the accounts, which the zombie has locked
	r.Release()
	if err := <-done; !errors.Is(err, idem.ErrRaced) {
		t.Errorf("Commit after the zombie's: %v, want ErrRaced", err)
	}
	f.expectPaid(t, 1)
}

// What a lost answer left behind is found by the guard, and the duplicate is told the first answer.
func TestStore_LostCommitIsExplained(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	g := f.guard(t, by)
	r := w.Next(mysqlproxy.Containing("COMMIT"), mysqlproxy.CutAfter())
	if d := g.Process(t.Context(), pay("S")); d.Verdict != idem.Retry ||
		!errors.Is(d.Err, idem.ErrUnavailable) {
		t.Fatalf("lost answer: %+v, want a retry that is held", d)
	}
	met(t, r)
	d := g.Process(t.Context(), pay("S"))
	if d.Verdict != idem.Duplicate || d.By != idem.ByStore ||
		cmp.Diff(d.Record.Answer, payment.Answer{Outcome: order.Paid}) != "" {
		t.Errorf("again: %+v, want a duplicate of the payment", d)
	}
	f.expectPaid(t, 1)
}
