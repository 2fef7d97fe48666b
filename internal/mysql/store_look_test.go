package mysql

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// A commit answers the same whether it has looked for orders that are paid or finds out by a key
// or a refusal that it must. It looks if it must, and goes on looking as long as it had to.
func TestStore_LooksForPaidOrders(t *testing.T) {
	t.Parallel()
	paid := payment.Answer{Outcome: order.Paid}
	repeats := payment.Answer{
		Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid, First: "first",
	}
	for _, c := range []struct {
		name     string
		requests []payment.Request
		verdict  idem.Verdict // the last one's
		want     payment.Answer
		must     bool
	}{
		{"New", []payment.Request{
			requestFor("new", "O-new", "payer", "payee", 10),
		}, idem.Decided, paid, false},
		{"Second", []payment.Request{
			requestFor("second", "O", "payer", "payee", 10),
		}, idem.Duplicate, repeats, true},
		{"SecondBehindANewOne", []payment.Request{
			requestFor("new", "O-new", "payer", "payee", 10),
			requestFor("second", "O", "payer", "payee", 10),
		}, idem.Duplicate, repeats, true},
		{"Altered", []payment.Request{
			requestFor("altered", "O", "payer", "payee", 11),
		}, idem.Conflict, paid, true},
		// No key would tell of the second one, whose payer has nothing left.
		{"SecondOfAPoorPayer", []payment.Request{
			requestFor("new", "O-new", "payer", "payee", 90),
			requestFor("second", "O", "payer", "payee", 10),
		}, idem.Duplicate, repeats, true},
		{"Poor", []payment.Request{
			requestFor("poor", "O-poor", "payer", "payee", 1000),
		}, idem.Decided, declined(order.InsufficientFunds), true},
		{"SecondInOneBatch", []payment.Request{
			requestFor("new", "O-new", "payer", "payee", 10),
			requestFor("newer", "O-new", "payer", "payee", 10),
		}, idem.Duplicate, payment.Answer{
			Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid, First: "new",
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, looks bool) {
				t.Helper()
				f := newDatabase(t)
				f.accounts(t, 100, "payer", "payee")
				w, by := through(t, f.cfg.Address)
				s := f.store(t, by)
				commitOne(t, s, requestFor("first", "O", "payer", "payee", 10))
				s.looks.Store(looks)
				seen := w.Add(mysqlproxy.Containing(looking), mysqlproxy.Pass(), rule.Always())
				answers, err := s.Commit(t.Context(), c.requests)
				if err != nil {
					t.Fatal(err)
				}
				last := answers[len(answers)-1]
				got := last.Record.Answer
				got.FirstAt = c.want.FirstAt
				if diff := cmp.Diff(c.want, got); last.Verdict != c.verdict || diff != "" {
					t.Errorf("verdict %d, want %d; (-want +got):\n%s", last.Verdict, c.verdict, diff)
				}
				if looked := seen.Fired() > 0; looked != (looks || c.must) {
					t.Errorf("looked: %t", looked)
				}
				if s.looks.Load() != c.must {
					t.Errorf("the next one looks: %t, want %t", s.looks.Load(), c.must)
				}
				f.audited(t)
			})
		})
	}
}

// Who does not look and loses the key of a serial that was decided meanwhile is told so.
func TestStore_RacedWithoutALook(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 100, "payer", "payee")
	s := f.store(t)
	for serial, minor := range map[string]int64{"paid": 10, "declined": 1000} {
		req := requestFor(serial, "O-"+serial, "payer", "payee", minor)
		commitOne(t, s, req)
		s.looks.Store(false)
		_, err := s.Commit(t.Context(), []payment.Request{req})
		if !errors.Is(err, idem.ErrRaced) {
			t.Errorf("%s: %v, want ErrRaced", serial, err)
		}
	}
	f.audited(t)
}
