package mysql

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// TestStore runs the suite that the guard's in-memory fake passes as well.
func TestStore(t *testing.T) {
	t.Parallel()
	idemtest.TestStore(t, idemtest.StoreHarness[order.Order, payment.Answer]{
		Open: func(t *testing.T) idem.Store[order.Order, payment.Answer] {
			f := newDatabase(t)
			f.accounts(t, 1<<40, "payer", "payee")
			return f.store(t)
		},
		Request: func(key idem.Key, content int) payment.Request {
			return requestFor(string(key), string(key), "payer", "payee", int64(content+1))
		},
		Effects: func(
			t *testing.T, s idem.Store[order.Order, payment.Answer], key idem.Key,
		) int {
			var n int
			err := s.(*Store).db.pool.QueryRowContext(t.Context(),
				"SELECT COUNT(*) FROM ledger_entries WHERE serial_no = ? AND amount_minor > 0",
				string(key)).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			return n
		},
		Bad: func(key idem.Key) payment.Request {
			return requestFor(string(key), string(key), strings.Repeat("x", 65), "payee", 1)
		},
	})
}

func TestStore_CommitEveryOutcome(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee", "closed")
	f.exec(t, "UPDATE accounts SET closed = 1 WHERE account_id = 'closed'")
	f.exec(t, "INSERT INTO accounts (account_id, currency, opening_minor, balance_minor) "+
		"VALUES ('dollar', 'USD', 5, 5), ('rich', 'CNY', 9007199254740996, 9007199254740996), "+
		"('full', 'CNY', 9223372036854775807, 9223372036854775807)")
	s := NewStore(f.open(t), 1<<63-1)
	for _, c := range []struct {
		serial, payer, payee string
		minor                int64
		want                 payment.Answer
	}{
		{"paid", "payer", "payee", 1000, payment.Answer{Outcome: order.Paid}},
		// Beyond 2^53 a float would take this for an even number.
		{"odd", "rich", "payee", 3, payment.Answer{Outcome: order.Paid}},
		{"poor", "payer", "payee", 1, declined(order.InsufficientFunds)},
		{"huge", "payer", "payee", 1<<63 - 1, declined(order.InsufficientFunds)},
		{"full", "payee", "full", 1, declined(order.BalanceLimit)},
		{"nobody", "payer", "nobody", 1, declined(order.UnknownAccount)},
		{"noone", "nobody", "payee", 1, declined(order.UnknownAccount)},
		{"case", "Payer", "payee", 1, declined(order.UnknownAccount)},
		{"shut", "payee", "closed", 1, declined(order.ClosedAccount)},
		{"other", "payee", "dollar", 1, declined(order.CurrencyMismatch)},
		{"self", "payee", "payee", 1, declined(order.SameAccount)},
		{"hostile", "x'; DROP TABLE payments; --", "payee", 1, declined(order.UnknownAccount)},
	} {
		answer := commitOne(t, s, requestFor(c.serial, "O-"+c.serial, c.payer, c.payee, c.minor))
		if answer.Verdict != idem.Decided || answer.Record.Answer != c.want {
			t.Errorf("%s: verdict %d, %+v, want %+v", c.serial, answer.Verdict,
				answer.Record.Answer, c.want)
		}
		found, err := s.Find(t.Context(), []idem.Key{idem.Key(c.serial)})
		if diff := cmp.Diff(answer.Record, found[idem.Key(c.serial)]); err != nil || diff != "" {
			t.Errorf("%s: Find: %v, differs from Commit:\n%s", c.serial, err, diff)
		}
	}
	for id, want := range map[string]int64{
		"payer": 0, "payee": 2003, "rich": 9007199254740993,
	} {
		if got := f.balance(t, id); got != want {
			t.Errorf("%s holds %d, want %d", id, got, want)
		}
	}
	if n := f.number(t, "SELECT COUNT(*) FROM ledger_entries"); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
	f.audited(t)
}

func declined(reason order.Reason) payment.Answer {
	return payment.Answer{Outcome: order.Declined, Reason: reason}
}

// A second serial of a paid order is a duplicate with a row, or a conflict without one, whether
// the first was committed before or is in the same batch.
func TestStore_CommitSiblings(t *testing.T) {
	t.Parallel()
	for name, together := range map[string]bool{"InOneBatch": true, "OneAfterTheOther": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDatabase(t)
			f.accounts(t, 1000, "payer", "payee", "other")
			s := f.store(t)
			reqs := []payment.Request{
				requestFor("first", "O", "payer", "payee", 10),
				requestFor("same", "O", "payer", "payee", 10),
				requestFor("differs", "O", "payer", "payee", 11),
				requestFor("elsewhere", "O", "other", "payee", 10),
			}
			answers := commitAll(t, s, reqs, together)
			first := answers[0].Record
			wantSame := payment.Answer{Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid,
				First: "first", FirstAt: first.DecidedAt}
			if a := answers[1]; a.Verdict != idem.Duplicate ||
				cmp.Diff(wantSame, a.Record.Answer) != "" {
				t.Errorf("same content: %+v, want a duplicate that names the first", a)
			}
			for i, a := range answers[2:] {
				if a.Verdict != idem.Conflict || cmp.Diff(first, a.Record) != "" {
					t.Errorf("other content %d: %+v, want a conflict with the first", i, a)
				}
			}
			found, err := s.Find(t.Context(), []idem.Key{"first", "same", "differs", "elsewhere"})
			if err != nil || len(found) != 2 {
				t.Fatalf("Find: %d records, %v, want 2", len(found), err)
			}
			if diff := cmp.Diff(answers[1].Record, found["same"]); diff != "" {
				t.Errorf("the sibling's row:\n%s", diff)
			}
			if got := f.balance(t, "payer"); got != 990 {
				t.Errorf("payer holds %d, want 990", got)
			}
			f.audited(t)
		})
	}
}

func commitAll(
	t *testing.T, s *Store, reqs []payment.Request, together bool,
) []idem.Answer[payment.Answer] {
	t.Helper()
	if together {
		answers, err := s.Commit(t.Context(), reqs)
		if err != nil {
			t.Fatal(err)
		}
		return answers
	}
	answers := make([]idem.Answer[payment.Answer], len(reqs))
	for i, req := range reqs {
		answers[i] = commitOne(t, s, req)
	}
	return answers
}

// A declined order can be paid under another serial; a declined serial stays declined.
func TestStore_DeclinedOrderIsStillOpen(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 5, "payer")
	f.accounts(t, 0, "payee")
	s := f.store(t)
	if a := commitOne(t, s, requestFor("S1", "O", "payer", "payee", 10)); a.Record.Answer !=
		declined(order.InsufficientFunds) {
		t.Fatalf("S1: %+v", a)
	}
	f.exec(t, "UPDATE accounts SET opening_minor = 50, balance_minor = 50 "+
		"WHERE account_id = 'payer'")
	if a := commitOne(t, s, requestFor("S2", "O", "payer", "payee", 10)); a.Record.Answer.Outcome !=
		order.Paid {
		t.Errorf("S2: %+v, want paid", a)
	}
	_, err := s.Commit(t.Context(),
		[]payment.Request{requestFor("S1", "O", "payer", "payee", 10)})
	if !errors.Is(err, idem.ErrRaced) {
		t.Errorf("S1 again: %v, want ErrRaced", err)
	}
	f.audited(t)
}

// Entries without a payment are no race, however they came there: the guard must not go back to a
// lookup that cannot find them, and must not let the whole batch fail with this one request.
func TestStore_StrayEntriesStopOneRequest(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	f.exec(t, "INSERT INTO ledger_entries VALUES ('bad', 'payer', -1, NOW())")
	s := f.store(t)
	reqs := []payment.Request{pay("good-1"), pay("bad"), pay("good-2")}
	if _, err := s.Commit(t.Context(), reqs); !errors.Is(err, idem.ErrContent) {
		t.Errorf("Commit: %v, want ErrContent", err)
	}
	if n := f.number(t, "SELECT COUNT(*) FROM payments"); n != 0 {
		t.Errorf("%d payments, want none", n)
	}
}
