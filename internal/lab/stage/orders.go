package stage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// Limits of sending.
const (
	// impatience is after how long an answer that has not come is told of: something holds it up.
	impatience = 3 * time.Second
	// answerLimit is how long an answer is waited for: a server that is stopped keeps it away.
	answerLimit = 3 * time.Minute
	sendLimit   = 2 * time.Minute
	senders     = 64
	burstOrders = 10_000
	burstRepeat = 0.3
)

// mint makes an order with a serial number that no other has.
func (s *Stage) mint(payer order.Account, minor int64) order.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made++
	return order.Order{
		ID:     order.ID(fmt.Sprintf("ORDER_%s_%d", s.name, s.made)),
		Serial: order.Serial(fmt.Sprintf("PAY_%s_%d", s.name, s.made)),
		Payer:  payer,
		Payee:  order.Account(fmt.Sprintf("shop-%d", 1+s.made%2)),
		Amount: order.Money{Minor: minor, Currency: "CNY"},
	}
}

// usual is an order of a few yuan.
func (s *Stage) usual() order.Order {
	payer := order.Account(fmt.Sprintf("user-%d", 1+rand.IntN(4)))
	return s.mint(payer, int64(100+rand.IntN(1900)))
}

func (s *Stage) remember(o order.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = o
}

// earlier is the order that is sent again: that of the serial, or the last one that was sent.
func (s *Stage) earlier(ctx context.Context, in lab.Input) (order.Order, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if in.Serial == "" || in.Serial == string(last.Serial) {
		if last.Serial == "" {
			return last, errors.New("nothing was sent yet: send an order first")
		}
		return last, nil
	}
	return s.stored(ctx, in.Serial)
}

// transmit sends a message until the broker has it, with one unique ID, and tells when that does
// not work at once. An answer is expected of all but what nobody can read.
func (s *Stage) transmit(
	ctx context.Context, out rocketmq.Outgoing, serial string, tell func(lab.Line),
) (rocketmq.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	out.Topic, out.Tag = devstack.OrderTopic, "pay"
	if out.ID == "" {
		out.ID = rocketmq.NewMessageID()
	}
	s.State.Sending(out.ID)
	for told := false; ; {
		receipt, err := s.producer.Send(ctx, out)
		if err == nil {
			s.State.Sent(out.ID, serial, receipt.Queue, serial != "")
			return receipt, nil
		}
		if errors.Is(err, rocketmq.ErrInvalid) || ctx.Err() != nil {
			return receipt, err
		}
		if !told {
			tell(line("did.brokerAway"))
			told = true
		}
		devstack.Pause(ctx, time.Second)
	}
}

// submit sends an order as a new message.
func (s *Stage) submit(
	ctx context.Context, o order.Order, tell func(lab.Line),
) (rocketmq.Receipt, error) {
	out := rocketmq.Outgoing{Key: string(o.ID), Body: order.Encode(o)}
	return s.transmit(ctx, out, string(o.Serial), tell)
}

// dispatch is submit that tells what was sent.
func (s *Stage) dispatch(
	ctx context.Context, o order.Order, tell func(lab.Line),
) (rocketmq.Receipt, error) {
	receipt, err := s.submit(ctx, o, tell)
	if err == nil {
		tell(line("did.sent", "serial", o.Serial, "amount", o.Amount.String(), "payer", o.Payer,
			"payee", o.Payee, "queue", receipt.Queue, "message", short(receipt.MessageID)))
	}
	return receipt, err
}

// short is the end of a message ID, which is where two of them differ.
func short(id string) string { return id[max(0, len(id)-8):] }

// deliver sends an order, waits for its answer, and tells what it is.
func (s *Stage) deliver(ctx context.Context, o order.Order, tell func(lab.Line)) error {
	receipt, err := s.dispatch(ctx, o, tell)
	if err != nil {
		return err
	}
	answers, err := s.answers(ctx, o.Serial, receipt.MessageID, tell)
	if err != nil {
		return err
	}
	tellAnswers(answers, tell)
	return nil
}

// answers waits for the answer to a message, and returns all that have come.
func (s *Stage) answers(
	ctx context.Context, serial order.Serial, id string, tell func(lab.Line),
) ([]lab.Delivery, error) {
	var got []lab.Delivery
	there := func() bool {
		got = s.State.Answers(string(serial), id)
		return len(got) > 0
	}
	err := patiently(ctx, tell, there)
	return got, err
}

// patiently waits for answers, and says so when that takes long.
func patiently(ctx context.Context, tell func(lab.Line), there func() bool) error {
	if devstack.Until(ctx, "an answer", impatience, there) == nil {
		return nil
	}
	tell(line("did.waiting"))
	return devstack.Until(ctx, "an answer", answerLimit, there)
}

func tellAnswers(answers []lab.Delivery, tell func(lab.Line)) {
	for _, d := range answers {
		key := "did.answer." + d.Outcome
		tell(line(key, "serial", d.Serial, "by", "@by."+d.By, "consumer", d.Consumer,
			"first", "@outcome."+d.First, "reason", d.Reason, "attempt", d.Attempt,
			"ms", milliseconds(d.LatencyUS)))
	}
}

func milliseconds(us int64) string { return fmt.Sprintf("%.1f", float64(us)/1000) }

func (s *Stage) send(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	o := s.usual()
	s.remember(o)
	return s.deliver(ctx, o, tell)
}

func (s *Stage) again(ctx context.Context, in lab.Input, tell func(lab.Line)) error {
	o, err := s.earlier(ctx, in)
	if err != nil {
		return err
	}
	return s.deliver(ctx, o, tell)
}

func (s *Stage) alter(ctx context.Context, in lab.Input, tell func(lab.Line)) error {
	o, err := s.earlier(ctx, in)
	if err != nil {
		return err
	}
	o.Amount.Minor += 100_000
	return s.deliver(ctx, o, tell)
}

func (s *Stage) overdraw(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	return s.deliver(ctx, s.mint("user-1", 100_000_000), tell)
}

func (s *Stage) malformed(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	o := s.usual()
	before := s.State.Numbers().Outcomes[order.Rejected.String()]
	// The amount is a word; and it differs each time, as the quarantine keeps the same content once.
	body := fmt.Sprintf(`{"version":1,"order_id":%q,"serial_no":%q,"amount":"a lot"}`, o.ID, o.Serial)
	out := rocketmq.Outgoing{Key: string(o.ID), Body: []byte(body)}
	receipt, err := s.transmit(ctx, out, "", tell)
	if err != nil {
		return err
	}
	tell(line("did.malformed", "queue", receipt.Queue))
	if err := devstack.Until(ctx, "the quarantine", answerLimit, func() bool {
		return s.State.Numbers().Outcomes[order.Rejected.String()] > before
	}); err != nil {
		return err
	}
	tell(line("did.quarantined"))
	return nil
}

// loseAnswer loses the broker's answer. The client sends the message again as it is, so that the
// broker stores it twice under one unique ID.
func (s *Stage) loseAnswer(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	o := s.usual()
	s.remember(o)
	dropped := s.Stack.Proxy().DropAnswer(devstack.OrderTopic)
	tell(line("did.losing"))
	receipt, err := s.dispatch(ctx, o, tell)
	if err != nil {
		return err
	}
	select {
	case <-dropped:
		tell(line("did.lost"))
	default:
		return errors.New("no answer was dropped: another message has taken the fault")
	}
	if _, err := s.answers(ctx, o.Serial, receipt.MessageID, tell); err != nil {
		return err
	}
	var answers []lab.Delivery
	again := devstack.Until(ctx, "a second answer", secondLimit, func() bool {
		answers = s.State.Answers(string(o.Serial), receipt.MessageID)
		return len(answers) > 1
	})
	tellAnswers(answers, tell)
	if again != nil {
		// A broker that starts says no at first, and it was this answer that was lost.
		return fmt.Errorf("nothing came again within %v: the broker may not have stored the message "+
			"whose answer was lost", secondLimit)
	}
	return nil
}

// burst sends as fast as the broker takes it. Three orders in ten are sent twice.
func (s *Stage) burst(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	begin := time.Now()
	before := s.State.Numbers()
	var next, failed atomic.Int64
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for next.Add(1) <= burstOrders && ctx.Err() == nil {
				if s.pair(ctx) != nil {
					failed.Add(1)
				}
			}
		})
	}
	group.Wait()
	sent := s.State.Numbers().Sent - before.Sent
	tell(line("did.burstSent", "n", sent, "s", seconds(time.Since(begin))))
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d orders could not be sent", n)
	}
	err := devstack.Until(ctx, "the answers", answerLimit, func() bool {
		return s.State.Numbers().Waiting == 0
	})
	after := s.State.Numbers()
	took := time.Since(begin)
	tell(line("did.burstDone", "n", after.Deliveries-before.Deliveries, "s", seconds(took),
		"paid", after.Outcomes["paid"]-before.Outcomes["paid"],
		"duplicate", after.Outcomes["duplicate"]-before.Outcomes["duplicate"],
		"rate", int(float64(after.Deliveries-before.Deliveries)/took.Seconds())))
	return err
}

// pair sends an order of a few cents, and perhaps once more.
func (s *Stage) pair(ctx context.Context) error {
	payer := order.Account(fmt.Sprintf("user-%d", 1+rand.IntN(100)))
	o := s.mint(payer, int64(1+rand.IntN(20)))
	copies := 1
	if rand.Float64() < burstRepeat {
		copies = 2
	}
	silent := func(lab.Line) {}
	for range copies {
		if _, err := s.submit(ctx, o, silent); err != nil {
			return err
		}
	}
	return nil
}
