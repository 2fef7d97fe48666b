package exercises

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// world is a cache and a database in memory, which fail when they are told to.
type world struct {
	cache *idemtest.Cache[string]
	store *idemtest.Store[string, string]
}

func newWorld() world {
	return world{idemtest.NewCache[string](), idemtest.NewStore(idemtest.Echo[string])}
}

var errBroken = errors.New("broken on purpose")

// consume lets a consumer that has just started handle one delivery, and ends it.
func (w world) consume(req Request) Told {
	guard := idem.New(w.store, w.cache, idem.Options{})
	defer guard.Close()
	d := guard.Process(context.Background(), req)
	return Told{d.Verdict, d.By}
}

// checkProcess breaks each step, with its work done and with nothing done, delivers again, and
// counts. At no time may the cache know what the database does not.
func checkProcess(a Answers) error {
	for _, step := range []idemtest.Step{
		idemtest.Get, idemtest.Find, idemtest.Commit, idemtest.Put,
	} {
		for what, fault := range map[string]idemtest.Fault{
			"fails with nothing done":              idemtest.FailBefore(errBroken),
			"is done, and says that it has failed": idemtest.FailAfter(errBroken),
		} {
			w := newWorld()
			if err := w.tryProcess(a, step, fault); err != nil {
				return fmt.Errorf("when the %s %s: %w", step, what, err)
			}
		}
	}
	return nil
}

func (w world) tryProcess(a Answers, step idemtest.Step, fault idemtest.Fault) error {
	req := idemtest.Request("PAY_1", "paid")
	steps := Steps{Cache: w.cache, Store: w.store}
	deliver := func() (string, error) { return a.Process(context.Background(), steps, req) }

	w.store.Break(step, fault) // one of them has such a step, and for the other it means nothing
	w.cache.Break(step, fault)
	_, err := deliver()
	if err != nil && (step == idemtest.Get || step == idemtest.Put) {
		return fmt.Errorf("a failing cache must cost nothing but time: %w", err)
	}
	if err := w.agree(); err != nil {
		return err
	}
	w.store.Mend()
	w.cache.Mend()
	if _, err := deliver(); err != nil {
		return fmt.Errorf("the second delivery: %w", err)
	}
	w.cache.Flush()
	answer, err := deliver()
	if err != nil {
		return fmt.Errorf("the third delivery, after the cache has expired: %w", err)
	}
	if effects := w.store.Effects("PAY_1"); answer != "paid" || effects != 1 {
		return fmt.Errorf("after three deliveries the work is done %d times, and the answer is %q",
			effects, answer)
	}
	return w.agree()
}

// agree wants the cache to hold nothing that the store does not.
func (w world) agree() error {
	committed := w.store.Records()
	for key, record := range w.cache.Records() {
		if committed[key].Answer != record.Answer {
			return fmt.Errorf("the cache says %q of %s, and the database has nothing", record.Answer, key)
		}
	}
	return nil
}

// checkWhoKnew lets it happen.
func checkWhoKnew(a Answers) error {
	w := newWorld()
	req := idemtest.Request("PAY_1", "paid")
	happened := map[Moment]idem.Source{
		FirstDelivery:  w.consume(req).By,
		SecondDelivery: w.consume(req).By,
	}
	w.cache.Flush()
	happened[AfterExpiry] = w.consume(req).By
	happened[AfterThat] = w.consume(req).By

	raced := idemtest.Request("PAY_2", "paid")
	w.store.Break(idemtest.Commit, idemtest.Times(1,
		func(_ context.Context, do func() error) error {
			sum, _ := raced.Fingerprint(idemtest.FingerprintVersion)
			w.store.Plant(Record{Key: "PAY_2", Fingerprint: sum, Answer: "paid"})
			return do()
		}))
	happened[LostRace] = w.consume(raced).By
	return compare(a.WhoKnew(), happened)
}

// checkAfterCrash lets a consumer end at each point, and asks the next one.
func checkAfterCrash(a Answers) error {
	happened := make(map[Crash]Told)
	for crash, breakIt := range map[Crash]func(world){
		BeforeCommit: func(w world) {
			w.store.Break(idemtest.Commit, idemtest.FailBefore(errBroken))
		},
		AnswerLost: func(w world) {
			w.store.Break(idemtest.Commit, idemtest.FailAfter(errBroken))
		},
		BeforePut: func(w world) { w.cache.Break(idemtest.Put, idemtest.FailBefore(errBroken)) },
		BeforeAck: func(world) {}, // all is done, and nobody has told the broker
	} {
		w := newWorld()
		req := idemtest.Request("PAY_1", "paid")
		breakIt(w)
		w.consume(req)
		w.store.Mend()
		w.cache.Mend()
		happened[crash] = w.consume(req)
	}
	return compare(a.AfterCrash(), happened)
}

// checkToken delivers one request as the broker repeats it and as its application does, and a
// second request for the same order, which the first has declined.
func checkToken(a Answers) error {
	first := order.Order{
		ID: "ORDERID_1", Serial: "PAY_1", Payer: "user-1", Payee: "shop-1",
		Amount: order.Money{Minor: 1999, Currency: "CNY"},
	}
	second := first
	second.Serial = "PAY_2"
	store := idemtest.NewStore(idemtest.Echo[string])
	guard := idem.New(store, idemtest.NewCache[string](), idem.Options{})
	defer guard.Close()
	for _, delivery := range []struct {
		what, messageID string
		order           order.Order
		want            idem.Verdict
	}{
		{"the first delivery", "M1", first, idem.Decided},
		{"the same message again, by the broker", "M1", first, idem.Duplicate},
		{"the same request as a new message, by the application", "M2", first, idem.Duplicate},
		{"a new request for the order, whose first was declined", "M3", second, idem.Decided},
	} {
		m := payment.Message{ID: delivery.messageID, Key: string(delivery.order.ID)}
		req := idemtest.Request(a.Token(m, delivery.order), "decided")
		if d := guard.Process(context.Background(), req); d.Verdict != delivery.want {
			return fmt.Errorf("%s: verdict %d, want %d (1 decided, 2 duplicate)",
				delivery.what, d.Verdict, delivery.want)
		}
	}
	return nil
}

// checkGroupCommit lets a thousand calls wait behind a transaction, and counts what follows.
func checkGroupCommit(a Answers) error {
	const calls = 1000
	w := newWorld()
	entered, release := make(chan struct{}), make(chan struct{})
	w.store.Break(idemtest.Commit, idemtest.Times(1, idemtest.Stall(entered, release)))
	guard := idem.New(w.store, w.cache, idem.Options{Committers: 1, BatchMax: 400, Waiting: calls})
	defer guard.Close()
	var group sync.WaitGroup
	deliver := func(key string) {
		group.Go(func() {
			guard.Process(context.Background(), idemtest.Request(idem.Key(key), "paid"))
		})
	}
	deliver("the transaction under way")
	<-entered
	for n := range calls {
		if n%5 == 4 {
			n-- // a repeat of the one before it
		}
		deliver(fmt.Sprint("PAY_", n))
	}
	for guard.Waiting() < calls {
		time.Sleep(time.Millisecond)
	}
	close(release)
	group.Wait()
	transactions, requests := w.store.Calls(idemtest.Commit)-1, len(w.store.Records())-1
	predictedTransactions, predictedRequests := a.GroupCommit()
	return errors.Join(
		wrongNumber("transactions", predictedTransactions, transactions),
		wrongNumber("requests that the store sees", predictedRequests, requests))
}

func wrongNumber(what string, predicted, is int) error {
	if predicted != is {
		return fmt.Errorf("%s: not %d", what, predicted)
	}
	return nil
}
