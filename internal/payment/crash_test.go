package payment_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/idem/idemtest/sim"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// The calls of a service beyond those of its guard.
const (
	quarantine idemtest.Step = "quarantine"
	result     idemtest.Step = "result"
)

// shop is one run of whole services over one ledger: messages of few serials and orders, some of
// them alike, some in conflict, one unreadable, in processes that fail.
type shop struct {
	world    sim.World[order.Order, payment.Answer]
	orders   []order.Order
	messages []payment.Message
	contents map[idem.Fingerprint]order.Order
	guard    idem.Options
	service  payment.Options
	aside    map[string]bool      // bodies in quarantine
	results  map[int]order.Result // by delivery
	run      *sim.Sim
}

func newShop(seed uint64, observe func(*sim.Call, sim.Fate)) *shop {
	const day = 24 * time.Hour
	rng := rand.New(rand.NewPCG(seed, 2))
	s := &shop{
		contents: make(map[idem.Fingerprint]order.Order),
		aside:    make(map[string]bool),
		results:  make(map[int]order.Result),
		guard:    idem.Options{BatchMax: 1 + rng.IntN(4), Committers: 1 + rng.IntN(2), Timeout: day},
		service:  payment.Options{Attempts: 1 + rng.IntN(2)},
	}
	s.world = sim.World[order.Order, payment.Answer]{
		Cache: idemtest.NewCache[payment.Answer](), Store: idemtest.NewStore(s.pay),
		Locks: locks, Rival: s.paid,
	}
	serials := 1 + rng.IntN(4)
	for range 2 + rng.IntN(6) {
		s.send(rng, serials)
	}
	s.run = sim.New(sim.Config{
		Seed: seed, Messages: len(s.messages), Nodes: 1 + rng.IntN(2), Start: s.start,
		Flush: s.world.Cache.Flush, Finish: s.finish,
		Observe: func(c *sim.Call, f sim.Fate) { s.look(c); observe(c, f) },
	})
	return s
}

// send adds a message. The payer has enough for the cheap order, not for two of the dear one.
func (s *shop) send(rng *rand.Rand, serials int) {
	serial := order.Serial(fmt.Sprint("S", 1+rng.IntN(serials)))
	o := order.Order{
		ID: "O" + order.ID(serial[1:]), Serial: serial, Payer: "payer", Payee: "payee",
		Amount: order.Money{Minor: 40, Currency: "CNY"},
	}
	switch rng.IntN(6) {
	case 0, 1:
		o.Amount.Minor = 70 // other content
	case 2:
		o.ID = "O1" // perhaps a second serial for this order
	}
	m := payment.Message{
		Topic: "orders", Key: string(o.ID), ID: fmt.Sprint("M", len(s.messages)),
		Body: order.Encode(o),
	}
	if rng.IntN(12) == 0 {
		m.Body = []byte(`{"version":`)
	}
	sum, _ := payment.NewRequest(o).Fingerprint(order.FingerprintVersion)
	s.contents[sum] = o
	s.orders, s.messages = append(s.orders, o), append(s.messages, m)
}

// locks are what a payment's transaction locks beside its serial.
func locks(o order.Order) []string {
	return []string{"account " + string(o.Payer), "account " + string(o.Payee)}
}

// pay carries out a request on the ledger as the transaction's records tell it.
func (s *shop) pay(
	tx *idemtest.Tx[payment.Answer], req payment.Request,
) (idem.Answer[payment.Answer], error) {
	accounts := []payment.Account{
		{ID: "payer", Currency: "CNY", Balance: 100}, {ID: "payee", Currency: "CNY"},
	}
	paid := make(map[order.ID]payment.Record)
	for record := range tx.Records() {
		if record.Answer.Outcome == order.Paid {
			o := s.contents[record.Fingerprint]
			paid[o.ID] = record
			accounts[0].Balance -= o.Amount.Minor
			accounts[1].Balance += o.Amount.Minor
		}
	}
	return payment.NewBook(time.Now(), 1000, accounts, paid).Decide(req), nil
}

// paid returns the record that paid an order.
func (s *shop) paid(o order.Order) (payment.Record, bool) {
	for _, record := range s.world.Store.Records() {
		if record.Answer.Outcome == order.Paid && s.contents[record.Fingerprint].ID == o.ID {
			return record, true
		}
	}
	return payment.Record{}, false
}

// start starts a process: the service as it is wired in the program, over gates.
func (s *shop) start(n *sim.Node) (handle sim.Handler, stop func()) {
	inner := idem.New(
		sim.Store[order.Order, payment.Answer]{Node: n, World: &s.world},
		sim.Cache[order.Order, payment.Answer]{Node: n, World: &s.world}, s.guard)
	guard := sim.Guard[order.Order, payment.Answer]{Node: n, World: &s.world, Inner: inner}
	// A wait of the least length has no random part, so that these two are repeatable.
	pace := idem.HoldOptions{MinBackoff: 1, MaxBackoff: 1}
	service := payment.NewService(guard, gate{n, s}, gate{n, s},
		idem.NewHold(pace), idem.NewHold(pace), s.service)
	return func(ctx context.Context, message int) bool {
		m := s.messages[message]
		m.Attempt = sim.DeliveryOf(ctx).ID
		return service.Handle(ctx, m) == payment.Acknowledge
	}, inner.Close
}

// gate is the way of a node to the quarantine and to the result topic.
type gate struct {
	node *sim.Node
	shop *shop
}

func (g gate) Put(ctx context.Context, q payment.Quarantined) error {
	return g.node.Call(ctx, quarantine, string(q.Kind), func() error {
		g.shop.aside[string(q.Message.Body)] = true
		return nil
	})
}

func (g gate) Send(ctx context.Context, r order.Result) error {
	return g.node.Call(ctx, result, r.Outcome.String(), func() error {
		if err := g.shop.check(sim.DeliveryOf(ctx), r); err != nil {
			g.shop.run.Fail(err)
		}
		g.shop.results[r.Attempt] = r
		return nil
	})
}

// check holds a result against the guard's verdict and the ledger.
func (s *shop) check(d *sim.Delivery, r order.Result) error {
	record := s.world.Store.Records()[idem.Key(r.Serial)]
	first, outcome := order.Serial(record.Key), record.Answer.Outcome
	if outcome == order.Duplicate {
		first, outcome = record.Answer.First, order.Paid
	}
	var right bool
	switch d.Verdict {
	case idem.Decided:
		right = r.Outcome == record.Answer.Outcome && !r.Duplicate && r.First == nil
	case idem.Duplicate:
		right = r.Outcome == order.Duplicate && r.Duplicate && r.First != nil &&
			r.First.Serial == first && r.First.Outcome == outcome
	case idem.Conflict:
		right = r.Outcome == order.Conflict && r.First != nil
		if !s.aside[string(s.messages[d.Message].Body)] {
			return fmt.Errorf("delivery %d: a conflict is answered before it is in quarantine", d.ID)
		}
	case idem.Retry:
	}
	if !right {
		return fmt.Errorf("delivery %d: verdict %d, record %+v, result %+v", d.ID, d.Verdict, record, r)
	}
	return nil
}

// look checks what a delivery ends with.
func (s *shop) look(c *sim.Call) {
	d := c.Delivery
	switch {
	case c.Step == sim.Ack:
		_, answered := s.results[d.ID]
		unreadable := d.Verdict == 0 && s.aside[string(s.messages[d.Message].Body)]
		if !answered && !unreadable {
			s.run.Fail(fmt.Errorf("delivery %d is acknowledged without an outcome", d.ID))
		}
	case c.Step != sim.GiveBack || d.Cancelled:
	case d.Err == nil:
		s.run.Fail(fmt.Errorf("delivery %d is given back for no reason", d.ID))
	case errors.Is(d.Err, idem.ErrUnavailable):
		s.run.Fail(fmt.Errorf("delivery %d climbs the retry ladder in an outage", d.ID))
	}
}

// finish wants nothing lost and nothing paid twice.
func (s *shop) finish() error {
	paid := make(map[order.ID]idem.Key)
	balance := int64(100)
	for key, record := range s.world.Store.Records() {
		o := s.contents[record.Fingerprint]
		if record.Answer.Outcome != order.Paid {
			continue
		}
		if other, twice := paid[o.ID]; twice {
			return fmt.Errorf("order %s was paid by %s and %s", o.ID, other, key)
		}
		paid[o.ID] = key
		balance -= o.Amount.Minor
	}
	if balance < 0 {
		return fmt.Errorf("the payer ends with %d", balance)
	}
	for i, m := range s.messages {
		_, decided := s.world.Store.Records()[idem.Key(s.orders[i].Serial)]
		if !decided && !s.aside[string(m.Body)] {
			return fmt.Errorf("message %d is lost", i)
		}
	}
	return s.world.Missed()
}
