package faults

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// marker is in every body and in every account's name, and may be in no log.
const (
	marker = "zq7x"
	memo   = `,"memo":"` + marker + ` is nobody's business"}`
)

// senders is how many messages may be on their way to the broker at once.
const senders = 16

// Sender sends messages and keeps a record of each. Its methods are safe for concurrent use.
type Sender struct {
	producer *rocketmq.Producer
	record   *Record
	name     string
	made     atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
}

func newSender(nameServer, name string, seed uint64, record *Record) (*Sender, error) {
	producer, err := rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: []string{nameServer}, Group: "faults-sender", MaxBodyBytes: 1 << 20,
	}, zap.NewNop())
	if err != nil {
		return nil, err
	}
	return &Sender{
		producer: producer, record: record, name: name,
		random: rand.New(rand.NewPCG(seed, 1)),
	}, nil
}

func (s *Sender) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// Order makes a new order with an ID and a serial number that no other has.
func (s *Sender) Order() order.Order {
	n := s.made.Add(1)
	return order.Order{
		ID:     order.ID(fmt.Sprintf("ORDER-%s-%d", s.name, n)),
		Serial: order.Serial(fmt.Sprintf("PAY-%s-%d", s.name, n)),
		Payer:  payer(1 + s.draw(payers)),
		Payee:  payee(1 + s.draw(payees)),
		Amount: order.Money{Minor: int64(1 + s.draw(5000)), Currency: "CNY"},
	}
}

// Body is an order's message body, with a field that consumers do not know.
func Body(o order.Order) []byte {
	return append(bytes.TrimSuffix(order.Encode(o), []byte("}")), memo...)
}

// Send sends an order as a new message.
func (s *Sender) Send(ctx context.Context, o order.Order) Message {
	return s.send(ctx, Message{Key: string(o.ID), Body: Body(o), Order: &o}, "")
}

// Raw sends any body under any key; what is not a valid order belongs into the quarantine.
func (s *Sender) Raw(ctx context.Context, key string, body []byte) Message {
	m := Message{Key: key, Body: body}
	if o, err := order.Decode(key, body, order.DefaultLimits()); err == nil {
		m.Order = &o
	}
	return s.send(ctx, m, "")
}

// Again sends a message once more under the same ID, as a producer does that got no answer.
func (s *Sender) Again(ctx context.Context, m Message) Message { return s.send(ctx, m, m.ID) }

func (s *Sender) send(ctx context.Context, m Message, id string) Message {
	receipt, err := s.producer.Send(ctx, rocketmq.Outgoing{
		Topic: devstack.OrderTopic, Tag: "pay", Key: m.Key, Body: m.Body, ID: id,
	})
	return s.record.add(m, receipt, err)
}

// Mix says what a load consists of. Shares are between 0 and 1.
type Mix struct {
	// PerSecond is how many orders are begun in a second; 0 means as fast as the broker takes them.
	PerSecond float64
	// Orders ends the load after so many; 0 means when its context ends.
	Orders int
	// Repeat is the share of orders sent again as new messages, Alter of those sent again with
	// another amount, Second of those sent again under another serial number, Hostile of messages that
	// are no valid order.
	Repeat, Alter, Second, Hostile float64
	// Hot makes all orders be paid from one account.
	Hot bool
}

// Usual is the load of most cases.
func Usual(orders int) Mix {
	return Mix{Orders: orders, Repeat: 0.2, Alter: 0.01, Hostile: 0.01}
}

// Load sends a mix until it is through or ctx ends, and returns how many orders were begun. What
// is on its way then is finished: a send takes as long as its attempts.
func (s *Sender) Load(ctx context.Context, mix Mix) int {
	pace := rate.NewLimiter(rate.Inf, 0)
	if mix.PerSecond > 0 {
		pace = rate.NewLimiter(rate.Limit(mix.PerSecond), senders)
	}
	queue := make(chan order.Order, senders)
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for o := range queue {
				s.play(context.WithoutCancel(ctx), o, mix)
			}
		})
	}
	begun := 0
	for ; mix.Orders == 0 || begun < mix.Orders; begun++ {
		if pace.Wait(ctx) != nil || ctx.Err() != nil {
			break
		}
		o := s.Order()
		if mix.Hot {
			o.Payer = hot
		}
		queue <- o
	}
	close(queue)
	group.Wait()
	return begun
}

// play sends an order and what comes along with it.
func (s *Sender) play(ctx context.Context, o order.Order, mix Mix) {
	s.Send(ctx, o)
	if s.chance(mix.Repeat) {
		s.Send(ctx, o)
	}
	if s.chance(mix.Alter) {
		other := o
		other.Amount.Minor += 1 + int64(s.draw(1000))
		s.Send(ctx, other)
	}
	if s.chance(mix.Second) {
		other := o
		other.Serial = s.Order().Serial
		s.Send(ctx, other)
	}
	if s.chance(mix.Hostile) {
		h := Hostile()
		one := h[s.draw(len(h))]
		s.Raw(ctx, one.Key(o), one.Body(o))
	}
}

func (s *Sender) chance(share float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64() < share
}

func (s *Sender) close() error { return s.producer.Close() }

// Background runs a load until the returned function is called, which waits for its end.
func (s *Sender) Background(ctx context.Context, mix Mix) (stop func() int) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan int, 1)
	go func() { done <- s.Load(ctx, mix) }()
	return func() int { cancel(); return <-done }
}
