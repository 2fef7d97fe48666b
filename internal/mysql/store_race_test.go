package mysql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Two stores go for the same serials at once: each serial is paid once, whoever lost is told
// ErrRaced, and then finds what the winner stored.
func TestStore_SerialRace(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1<<40, "payer-0", "payee-0", "payer-1", "payee-1")
	w, by := through(t, f.cfg.Address)
	stores := []*Store{f.store(t, by), f.store(t, by)}
	const rounds = 30
	for round := range rounds {
		serials := serialsOf(fmt.Sprint("R", round), 5)
		errs := make([]error, len(stores))
		var wg sync.WaitGroup
		for n, s := range stores {
			wg.Go(func() {
				var reqs []payment.Request
				for _, serial := range serials {
					// Every other time between other accounts, so that no lock puts the two in line.
					pair := n * (round % 2)
					reqs = append(reqs, requestFor(serial, "O-"+serial, fmt.Sprint("payer-", pair),
						fmt.Sprint("payee-", pair), 10))
				}
				_, errs[n] = s.Commit(t.Context(), reqs)
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("round %d: %v and %v, want one winner", round, errs[0], errs[1])
		}
		if lost := errors.Join(errs...); !errors.Is(lost, idem.ErrRaced) {
			t.Errorf("round %d: the loser was told %v, want ErrRaced", round, lost)
		}
	}
	if w.Errors(1062) == 0 {
		t.Error("no race was decided by a unique key")
	}
	if n := f.number(t, "SELECT COUNT(*) FROM payments WHERE status = 'paid'"); n != 5*rounds {
		t.Errorf("%d payments, want %d", n, 5*rounds)
	}
	f.audited(t)
}

// Real guards on several stores get the same serials with two contents, from many goroutines, and
// the same orders under two serials from two payers.
func TestStore_BehindGuards(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1<<40, "payer-0", "payer-1", "payee")
	type guard = *idem.Guard[order.Order, payment.Answer]
	guards := []guard{f.guard(t), f.guard(t), f.guard(t)}
	const orders, copies = 40, 12
	var tally idemtest.Tally[payment.Answer]
	var wg sync.WaitGroup
	for n := range orders * copies {
		id, kind := n%orders, n/orders%4
		serial := fmt.Sprintf("S%d-%d", id, kind%2)
		payer := fmt.Sprintf("payer-%d", kind/2)
		wg.Go(func() {
			req := requestFor(serial, fmt.Sprint("O", id), payer, "payee", 10)
			d := guards[n%len(guards)].Process(t.Context(), req)
			for range 5 { // a batch that loses one race after another is given back
				if errors.Is(d.Err, idem.ErrRaced) {
					d = guards[n%len(guards)].Process(t.Context(), req)
				}
			}
			if d.Verdict == idem.Retry {
				t.Errorf("%s from %s: retry: %v", serial, payer, d.Err)
			}
			tally.Add(idem.Key(serial), kind/2, d)
		})
	}
	wg.Wait()
	if n := f.number(t, "SELECT COUNT(*) FROM payments WHERE status = 'paid'"); n != orders {
		t.Errorf("%d orders were paid, want %d", n, orders)
	}
	if got := f.balance(t, "payee") - 1<<40; got != 10*orders {
		t.Errorf("the payee got %d, want %d", got, 10*orders)
	}
	f.audited(t)
}

// Several stores pay from and to the same few accounts, in both directions, in large batches. The
// accounts are locked in one order, so no transaction ever deadlocks.
func TestStore_HotAccountsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	hot := serialsOf("hot", 6)
	f.accounts(t, 1000, hot...)
	var wires []*mysqlproxy.Proxy
	var wg sync.WaitGroup
	const batches, size = 6, 40
	for n := range 3 {
		w, by := through(t, f.cfg.Address)
		wires = append(wires, w)
		s := f.store(t, by)
		rng := rand.New(rand.NewPCG(7, uint64(n)))
		wg.Go(func() {
			for batch := range batches {
				var reqs []payment.Request
				for i := range size {
					from, to := rng.IntN(6), rng.IntN(6)
					serial := fmt.Sprintf("H%d-%d-%d", n, batch, i)
					reqs = append(reqs, requestFor(serial, "O-"+serial, hot[from], hot[to], 300))
				}
				if _, err := s.Commit(t.Context(), reqs); err != nil {
					t.Errorf("store %d, batch %d: %v", n, batch, err)
				}
			}
		})
	}
	wg.Wait()
	for _, w := range wires {
		if n := w.Errors(1213) + w.Errors(1205); n != 0 {
			t.Errorf("%d deadlocks and lock wait timeouts, want none", n)
		}
	}
	if n := f.number(t, "SELECT COUNT(*) FROM payments"); n != 3*batches*size {
		t.Errorf("%d payments, want %d", n, 3*batches*size)
	}
	f.audited(t)
}

// A full batch locks the accounts that it names and no other, however many there are.
func TestStore_LocksOnlyItsAccounts(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	db := f.open(t)
	ids := make([]order.Account, 5000)
	for i := range ids {
		ids[i] = order.Account(fmt.Sprintf("acc-%04d", i))
	}
	owner, err := Open(f.rootOf(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close() })
	opening := order.Money{Minor: 100, Currency: cny}
	for want := int64(5000); want >= 0; want -= 5000 { // again: they are there
		n, other, err := owner.OpenAccounts(t.Context(), ids, opening)
		if err != nil || n != want || len(other) > 0 {
			t.Fatalf("OpenAccounts: %d, %v, %v, want %d", n, other, err, want)
		}
	}
	euros := order.Money{Minor: 100, Currency: "EUR"}
	if n, other, err := owner.OpenAccounts(t.Context(), ids[:2], euros); err != nil || n != 0 ||
		len(other) != 2 {
		t.Errorf("the same accounts in another currency: %d opened, %v, %v", n, other, err)
	}
	// A scan would have to wait for this account.
	foreign := f.hold(t, "SELECT * FROM accounts WHERE account_id = 'acc-4999' FOR UPDATE")
	for _, size := range []int{1, 400, 700} {
		reqs := make([]payment.Request, size)
		for i := range reqs {
			reqs[i] = requestFor(fmt.Sprintf("S%d-%d", size, i), fmt.Sprintf("O%d-%d", size, i),
				string(ids[(i*7)%5000]), string(ids[(i*7+3)%5000]), 1)
		}
		err := db.transact(t.Context(), readCommitted(), func(tx *gorm.DB) error {
			accounts, _, err := lockAccounts(tx, reqs, true)
			if err != nil {
				return err
			}
			var id int64
			if err := tx.Raw("SELECT CONNECTION_ID()").Scan(&id).Error; err != nil {
				return err
			}
			if len(accounts) < size {
				t.Errorf("batch of %d: %d accounts", size, len(accounts))
			}
			want := int64(len(accounts))
			if locked := f.rowsLocked(t, id, want); locked != want {
				t.Errorf("%d rows are locked for %d accounts", locked, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := foreign.Rollback(); err != nil {
		t.Fatal(err)
	}
	reqs := make([]payment.Request, 400)
	for i := range reqs {
		reqs[i] = requestFor(fmt.Sprint("B", i), fmt.Sprint("B", i),
			string(ids[i]), string(ids[4999-i]), 1)
	}
	if _, err := NewStore(db, 1000).Commit(t.Context(), reqs); err != nil {
		t.Fatal(err)
	}
	f.audited(t)
}

// letItRenew waits before a look at the transactions of the server, which shows what it read last
// unless nobody asked for 0.1 s. The time is random: two tests that look in step, one in the pause of
// the other, would be shown the same for ever.
func letItRenew() { time.Sleep(150*time.Millisecond + rand.N(150*time.Millisecond)) }

// rowsLocked reads how many rows the transaction of a session has locked, up to a few times until
// it is what is wanted.
func (f *fixture) rowsLocked(t *testing.T, session, want int64) (locked int64) {
	t.Helper()
	for range 50 {
		letItRenew()
		locked = f.number(t, "SELECT trx_rows_locked FROM information_schema.innodb_trx "+
			"WHERE trx_mysql_thread_id = ?", session)
		if locked == want {
			break
		}
	}
	return locked
}

// A request that the database cannot hold is isolated by the guard; its neighbours are paid.
func TestStore_BadContentIsBisected(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	g := f.guard(t)
	long := strings.Repeat("x", 65)
	type kind struct {
		bad bool
		req payment.Request
	}
	var kinds []kind
	for i := range 40 {
		kinds = append(kinds, kind{false, pay(fmt.Sprint("good-", i))})
	}
	kinds = append(kinds,
		kind{true, requestFor("long-payer", "O-1", long, "payee", 1)},
		kind{true, requestFor("negative", "O-2", "payer", "nobody", -1)},
		kind{true, requestFor("no-ascii", "O-3", "payér", "payee", 1)})
	var wg sync.WaitGroup
	for _, k := range kinds {
		wg.Go(func() {
			d := g.Process(t.Context(), k.req)
			if want := map[bool]idem.Verdict{true: idem.Retry, false: idem.Decided}[k.bad]; d.
				Verdict != want {
				t.Errorf("%s: verdict %d, %v, want %d", k.req.Key, d.Verdict, d.Err, want)
			}
			if k.bad && !errors.Is(d.Err, idem.ErrContent) {
				t.Errorf("%s: %v, want ErrContent", k.req.Key, d.Err)
			}
		})
	}
	wg.Wait()
	if got := f.balance(t, "payee"); got != 1400 {
		t.Errorf("payee holds %d, want 1400", got)
	}
	f.audited(t)
}

// The context of the caller ends the wait for a lock.
func TestStore_CommitGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	f.hold(t, "SELECT * FROM accounts FOR UPDATE")
	w, by := through(t, f.cfg.Address)
	r := w.Next(mysqlproxy.Containing("FROM accounts"), mysqlproxy.Hold())
	s := f.store(t, by)
	ctx, cancel := context.WithCancel(t.Context())
	done := commitAside(ctx, s, pay("S"))
	reached(t, r, done)
	r.Release()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: %v, want the context's error", err)
	}
}
