package bench

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"

	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// Who pays whom.
const (
	payers = 1000
	payees = 100
	// hotShop is whom everybody pays under WorkloadHot.
	hotShop  = "hot-shop"
	currency = order.Currency("CNY")
)

// mix says what messages a topic gets.
type mix struct {
	topic string
	// name is part of every order ID and draws the serial numbers: another name, other orders.
	name  string
	count int
	// queues is how many the topic has; 0 for the usual number.
	queues int
	hot    bool
	// repeats is the share of the messages that repeat an order.
	repeats float64
}

// maxBehind is how many messages may lie between an order and its repeat.
const maxBehind = 200

// messages makes the messages, the same ones each time.
func (m mix) messages() iter.Seq[rocketmq.Outgoing] {
	return func(yield func(rocketmq.Outgoing) bool) {
		var seed [32]byte
		copy(seed[:], m.name)
		random := rand.New(rand.NewChaCha8(seed))
		recent := make([]order.Order, 0, maxBehind)
		for n := range m.count {
			o := m.order(n, random)
			if len(recent) > 0 && random.Float64() < m.repeats {
				o = recent[random.IntN(len(recent))]
			} else if len(recent) < maxBehind {
				recent = append(recent, o)
			} else {
				recent[n%maxBehind] = o
			}
			if !yield(m.message(o)) {
				return
			}
		}
	}
}

// order makes a new order. Its serial number is random, as those of many senders are.
func (m mix) order(n int, random *rand.Rand) order.Order {
	payee := order.Account("payee-" + strconv.Itoa(1+random.IntN(payees)))
	if m.hot {
		payee = hotShop
	}
	return order.Order{
		ID:     order.ID(fmt.Sprintf("ORDERID_%s_%08d", m.name, n)),
		Serial: order.Serial(fmt.Sprintf("PAY_%016x%08x", random.Uint64(), uint32(n))),
		Payer:  order.Account("payer-" + strconv.Itoa(1+random.IntN(payers))),
		Payee:  payee,
		Amount: order.Money{Minor: 100 + random.Int64N(9900), Currency: currency},
	}
}

func (m mix) message(o order.Order) rocketmq.Outgoing {
	return rocketmq.Outgoing{Topic: m.topic, Tag: orderTag, Key: string(o.ID), Body: order.Encode(o)}
}

// accounts are all who pay, and all who are paid.
func accounts() (pay, paid []order.Account) {
	for n := range payers {
		pay = append(pay, order.Account("payer-"+strconv.Itoa(n+1)))
	}
	for n := range payees {
		paid = append(paid, order.Account("payee-"+strconv.Itoa(n+1)))
	}
	return pay, append(paid, hotShop)
}
