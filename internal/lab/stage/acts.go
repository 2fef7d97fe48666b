package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/internal/textbook"
)

// Limits of what the acts below do.
const (
	killOrders  = 16
	killRounds  = 3
	joinOrders  = 16
	raceCopies  = 8 // one for each queue
	gatherLimit = 10 * time.Second
	againLimit  = 30 * time.Second
	// secondLimit is for a second message under one ID, whose queue may be changing hands: the
	// broker keeps it for a client that is gone for most of a minute.
	secondLimit = 90 * time.Second
)

var errNoConsumer = errors.New("no consumer runs: choose an order of writes to start some")

// stored is the order that a payment was made for.
func (s *Stage) stored(ctx context.Context, serial string) (o order.Order, err error) {
	why, err := s.Why(ctx, serial)
	if err != nil {
		return o, err
	}
	var known struct {
		Database mysql.Trace `json:"database"`
	}
	if err := json.Unmarshal(why, &known); err != nil {
		return o, err
	}
	p := known.Database.Payment
	if p == nil {
		return o, fmt.Errorf("the database knows no serial %s", serial)
	}
	return order.Order{
		ID: order.ID(p.OrderID), Serial: order.Serial(p.SerialNo), Payer: order.Account(p.Payer),
		Payee:  order.Account(p.Payee),
		Amount: order.Money{Minor: p.AmountMinor, Currency: order.Currency(p.Currency)},
	}, nil
}

// several sends some orders and returns their messages by serial.
func (s *Stage) several(
	ctx context.Context, n int, make func() order.Order, tell func(lab.Line),
) (map[order.Serial]string, error) {
	sent := map[order.Serial]string{}
	for range n {
		o := make()
		receipt, err := s.submit(ctx, o, tell)
		if err != nil {
			return sent, err
		}
		sent[o.Serial] = receipt.MessageID
	}
	return sent, nil
}

// allAnswered waits until each message has an answer.
func (s *Stage) allAnswered(
	ctx context.Context, sent map[order.Serial]string, tell func(lab.Line),
) error {
	return patiently(ctx, tell, func() bool {
		n, _ := s.answered(sent)
		return n == len(sent)
	})
}

// answered counts the messages that have an answer, and all answers beyond the first.
func (s *Stage) answered(sent map[order.Serial]string) (messages, further int) {
	for serial, id := range sent {
		got := len(s.State.Answers(string(serial), id))
		if got > 0 {
			messages++
		}
		further += max(0, got-1)
	}
	return messages, further
}

// kill kills a consumer that has paid and answered, until its messages come again. Once in a while
// they do not: a client reports its offsets with some of its pulls as well, which are let through.
func (s *Stage) kill(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	for range killRounds {
		again, err := s.killOne(ctx, tell)
		if err != nil {
			return err
		}
		if again > 0 {
			tell(line("did.cameAgain", "n", again))
			return nil
		}
		tell(line("did.acknowledged"))
	}
	return fmt.Errorf("nothing came again in %d rounds", killRounds)
}

// killOne lets a consumer pay and answer, loses its acknowledgements on their way to the broker,
// and kills it. Another one takes its place. It returns how many messages came again.
func (s *Stage) killOne(ctx context.Context, tell func(lab.Line)) (again int, err error) {
	living := s.crew.living()
	if len(living) == 0 {
		return 0, errNoConsumer
	}
	drop := s.Stack.Proxy().Add(rocketmqproxy.Acknowledgements(devstack.OrderTopic),
		rocketmqproxy.Drop(), rule.Always())
	defer drop.Remove()
	sent, err := s.several(ctx, killOrders, s.usual, tell)
	if err != nil {
		return 0, err
	}
	if err := s.allAnswered(ctx, sent, tell); err != nil {
		return 0, err
	}
	victim := living[0]
	s.crew.leave(victim, lab.Killed)
	if err := victim.process.Kill(); err != nil {
		return 0, err
	}
	drop.Remove()
	tell(line("did.killed", "consumer", victim.name, "pid", victim.process.PID(), "n", len(sent)))
	if err := s.hire(ctx, 1); err != nil {
		return 0, err
	}
	tell(line("did.replaced", "consumer", victim.name))
	_ = devstack.Until(ctx, "messages that come again", againLimit, func() bool {
		_, again = s.answered(sent)
		return again > 0
	})
	devstack.Pause(ctx, time.Second) // the others come with the first
	_, again = s.answered(sent)
	return again, ctx.Err()
}

// add lets a consumer join while messages are under way, which a row lock sees to. Their queues get
// a new owner, who begins at the last acknowledged message; what the old owner acknowledges then
// does not count.
func (s *Stage) add(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	if len(s.crew.living()) >= maxConsumers {
		return fmt.Errorf("there are %d consumers already: remove one first", maxConsumers)
	}
	release, err := s.Stack.HoldRow(ctx,
		"SELECT balance_minor FROM accounts WHERE account_id = 'slow-1' FOR UPDATE")
	if err != nil {
		return err
	}
	sent, err := s.several(ctx, joinOrders, func() order.Order { return s.mint("slow-1", 1) }, tell)
	if err != nil {
		return errors.Join(err, release())
	}
	tell(line("did.locked", "n", len(sent)))
	if err := s.hire(ctx, 1); err != nil {
		return errors.Join(err, release())
	}
	if err := release(); err != nil {
		return err
	}
	living := s.crew.living()
	tell(line("did.joined", "n", len(living)))
	if err := s.allAnswered(ctx, sent, tell); err != nil {
		return err
	}
	devstack.Pause(ctx, time.Second)
	_, further := s.answered(sent)
	tell(line("did.cameAgain", "n", further))
	return nil
}

func (s *Stage) remove(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	living := s.crew.living()
	if len(living) < 2 {
		return errors.New("this is the last consumer: add one first")
	}
	leaving := living[len(living)-1]
	if err := s.dismiss(ctx, []*consumer{leaving}); err != nil {
		return err
	}
	tell(line("did.removed", "consumer", leaving.name))
	return nil
}

// race lets all consumers begin the payment of one serial at the same moment: a copy lies in each
// queue, and the proxy holds their transactions back until they are all there.
func (s *Stage) race(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	consumers := len(s.crew.living())
	if consumers == 0 {
		return errNoConsumer
	}
	o := s.usual()
	s.remember(o)
	held := s.database.Add(mysqlproxy.Containing("START TRANSACTION"), mysqlproxy.Hold(),
		rule.Always())
	defer held.Release()
	ids := map[string]bool{}
	for range raceCopies {
		receipt, err := s.submit(ctx, o, tell)
		if err != nil {
			return err
		}
		ids[receipt.MessageID] = true
	}
	racers := max(consumers, 2) // the right consumers pay several messages in one transaction
	if s.writes() != textbook.Right {
		racers = raceCopies
	}
	_ = devstack.Until(ctx, "racers at the start", gatherLimit, func() bool {
		return held.Fired() >= racers
	})
	devstack.Pause(ctx, 300*time.Millisecond) // others may be on their way to the start
	tell(line("did.gathered", "serial", o.Serial, "copies", raceCopies, "n", held.Fired()))
	held.Remove()
	held.Release()
	if err := patiently(ctx, tell, func() bool {
		answered := map[string]bool{}
		for _, d := range s.State.Of(string(o.Serial)) {
			answered[d.Message] = true
		}
		return len(answered) == len(ids)
	}); err != nil {
		return err
	}
	paid, by := 0, map[string]int{}
	for _, d := range s.State.Of(string(o.Serial)) {
		if d.Outcome == order.Paid.String() {
			paid++
		}
		by[d.By]++
	}
	tell(line("did.raced", "paid", paid, "unique", by["unique_key"], "batch", by["batch"],
		"database", by["database"], "cache", by["cache"]))
	return nil
}

// cutCommit breaks the connection to the database between the last statement of a payment and its
// COMMIT.
func (s *Stage) cutCommit(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	o := s.usual()
	s.remember(o)
	fault := s.database.Next(mysqlproxy.CommitAfter("amount_minor"), mysqlproxy.CutBefore())
	defer fault.Remove()
	receipt, err := s.dispatch(ctx, o, tell)
	if err != nil {
		return err
	}
	answers, err := s.answers(ctx, o.Serial, receipt.MessageID, tell)
	if err != nil {
		return err
	}
	select {
	case <-fault.Done():
		tell(line("did.cut"))
	default:
		return errors.New("no commit was cut: another payment has taken the fault")
	}
	tellAnswers(answers, tell)
	return nil
}
