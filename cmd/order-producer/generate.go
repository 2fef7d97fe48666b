package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"example.com/payment/internal/order"
)

// plan is what a generated load consists of. Two equal plans give the same messages, byte for
// byte and in the same order.
type plan struct {
	seed  uint64
	runID string
	// orders is how many orders there are; repeats, alters and malforms say how many of them
	// get a further message of that kind.
	orders, repeats, alters, malforms int
	payers, payees                    int
	payerPrefix, payeePrefix          string
	least, most                       order.Money
}

// maxDelay is how many orders may go by between an order and its further messages. So some meet
// the first in the same batch, others find its answer in the cache.
const maxDelay = 200

// The random streams of a plan. Each draws for itself, so that more repeats change neither the
// amounts nor which orders are altered.
const (
	streamOrders = iota
	streamRepeats
	streamAlters
	streamMalforms
	streamDelays
)

func (p plan) stream(n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(p.seed, n)) //nolint:gosec // has to be repeatable, not secret
}

// messages is how many there are in all.
func (p plan) messages() int { return p.orders + p.repeats + p.alters + p.malforms }

// source makes the messages one after the other; only those that are delayed are held.
func (p plan) source() source {
	return func(yield func(message, error) bool) {
		orders, delays := p.stream(streamOrders), p.stream(streamDelays)
		again := newSample(p.stream(streamRepeats), p.repeats, p.orders)
		other := newSample(p.stream(streamAlters), p.alters, p.orders)
		broken := newSample(p.stream(streamMalforms), p.malforms, p.orders)
		var later [maxDelay + 1][]message
		delay := func(n int, m message) {
			slot := (n + delays.IntN(maxDelay+1)) % len(later)
			later[slot] = append(later[slot], m)
		}
		flush := func(n int) bool {
			slot := n % len(later)
			for _, m := range later[slot] {
				if !yield(m, nil) {
					return false
				}
			}
			later[slot] = nil
			return true
		}
		for n := range p.orders {
			o := p.order(n, orders)
			if !yield(valid(first, o), nil) {
				return
			}
			if again.next() {
				delay(n, valid(repeat, o))
			}
			if other.next() {
				delay(n, valid(altered, p.alter(o, other.rng)))
			}
			if broken.next() {
				delay(n, malform(o, broken.rng))
			}
			if !flush(n) {
				return
			}
		}
		for n := range maxDelay {
			if !flush(p.orders + n) {
				return
			}
		}
	}
}

// order makes the order with this number.
func (p plan) order(n int, rng *rand.Rand) order.Order {
	tail := p.runID + "-" + strconv.FormatUint(p.seed, 36) + "-" + fmt.Sprintf("%08d", n+1)
	return order.Order{
		ID:     order.ID("ORDERID_" + tail),
		Serial: order.Serial("PAY_" + tail),
		Payer:  account(p.payerPrefix, 1+rng.IntN(p.payers)),
		Payee:  account(p.payeePrefix, 1+rng.IntN(p.payees)),
		Amount: order.Money{
			Minor:    p.least.Minor + rng.Int64N(p.most.Minor-p.least.Minor+1),
			Currency: p.least.Currency,
		},
	}
}

// alter changes the amount, and nothing else, to another one between the two limits. A plan
// that alters has limits that differ.
func (p plan) alter(o order.Order, rng *rand.Rand) order.Order {
	span := p.most.Minor - p.least.Minor + 1
	away := 1 + rng.Int64N(span-1)
	o.Amount.Minor = p.least.Minor + (o.Amount.Minor-p.least.Minor+away)%span
	return o
}

func account(prefix string, n int) order.Account {
	return order.Account(prefix + strconv.Itoa(n))
}

// share is how many of n a fraction is.
func share(fraction float64, n int) int { return int(math.Round(fraction * float64(n))) }

// sample picks exactly so many of n things, each choice equally likely, in one pass and without
// remembering any (Knuth's algorithm S).
type sample struct {
	rng          *rand.Rand
	wanted, left int
}

func newSample(rng *rand.Rand, wanted, n int) *sample {
	return &sample{rng: rng, wanted: wanted, left: n}
}

// next says whether the next thing is picked.
func (s *sample) next() bool {
	picked := s.rng.IntN(s.left) < s.wanted
	s.left--
	if picked {
		s.wanted--
	}
	return picked
}
