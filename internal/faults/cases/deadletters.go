package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// Errors that end one order's payment again and again: a value that no column takes, and one that
// no server has, so that nobody knows what it means.
const (
	incorrectValue = 1366
	unheardOf      = 4999
)

// failing makes the database refuse one order's payment, and nothing else.
func failing(r *faults.Rig, o order.Order, code uint16) *mysqlproxy.Rule {
	return r.Database.Add(mysqlproxy.Containing(rowOf(o)), mysqlproxy.Refuse(code), rule.Always())
}

// rowOf is how the row of an order's payment begins in the statement that inserts it.
func rowOf(o order.Order) string { return fmt.Sprintf("('%s','%s',", o.Serial, o.ID) }

// deadLetters makes two orders fail through the whole ladder. One goes on failing as a dead
// letter and ends in quarantine; the other can be decided by then, and is paid.
func deadLetters(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx, "PAYMENT_ROCKETMQ_MAX_REDELIVERIES=5"); err != nil {
		return err
	}
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 100, Repeat: 0.2})
	defer stop()
	before, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	if err != nil {
		return err
	}
	doomed := r.Sender.Order()
	broken := failing(r, doomed, incorrectValue)
	m := r.Sender.Send(ctx, doomed)
	if err := paidByDrainer(ctx, r, before+1); err != nil {
		return err
	}
	kept, err := await(ctx, "the quarantine", func() (faults.Kept, bool, error) {
		return r.Kept(ctx, m.ID)
	})
	if err != nil {
		return err
	}
	if kept.Kind != "undecided" {
		return fmt.Errorf("in quarantine as %s (%s), want undecided", kept.Kind, kept.Reason)
	}
	if n := len(r.Answers.Answers(m.ID)); n > 0 {
		return fmt.Errorf("an undecided order was answered %d times", n)
	}
	r.Journal.FiredTimes("undecided", broken.Fired(), "refused by the proxy, then in quarantine")
	broken.Remove()
	r.Say("%d answers were given to later deliveries, to those that shared a transaction", later(r))
	// Its sender has heard nothing, and sends it again.
	got, err := firstAnswer(ctx, r, r.Sender.Again(ctx, m))
	if err == nil && got.Outcome != order.Paid {
		err = fmt.Errorf("sent again, it was %s", got.Outcome)
	}
	return err
}

// later counts the answers that were not given to the first delivery of their message.
func later(r *faults.Rig) (count int) {
	for _, answer := range r.Answers.All() {
		if answer.Attempt > 1 {
			count++
		}
	}
	return count
}

// paidByDrainer lets an order fail until it is a dead letter, one more than the others. The
// drainer tries a dead letter three times, a second apart; on a machine that looks away for
// longer, the fault ends too late to see it paid, and another order is tried.
func paidByDrainer(ctx context.Context, r *faults.Rig, others int64) error {
	for n := range int64(3) {
		o := r.Sender.Order()
		broken := failing(r, o, unheardOf)
		m := r.Sender.Send(ctx, o)
		if err := faults.Until(ctx, "a dead letter", soon, func() bool {
			now, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
			return err == nil && now > others+n
		}); err != nil {
			return err
		}
		broken.Remove()
		r.Journal.FiredTimes("dead letter", broken.Fired(), "refused by the proxy, then in the topic")
		paid, err := await(ctx, "the drainer", func() (bool, bool, error) {
			if len(r.Answers.Answers(m.ID)) > 0 {
				return true, true, nil
			}
			_, kept, err := r.Kept(ctx, m.ID)
			return false, kept, err
		})
		if err != nil {
			return err
		}
		if paid {
			r.Journal.Fired("paid by the drainer", "its answer")
			return nil
		}
		r.Sender.Again(ctx, m)
	}
	return errors.New("no dead letter was paid by the drainer")
}

// replays makes a dead letter that ends in quarantine, and has it sent from there more often than
// once: by two operators at a time, and by one who did not live to note that it was sent.
func replays(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx, "PAYMENT_ROCKETMQ_MAX_REDELIVERIES=1"); err != nil {
		return err
	}
	o := r.Sender.Order()
	broken := failing(r, o, unheardOf)
	m := r.Sender.Send(ctx, o)
	kept, err := await(ctx, "the quarantine", func() (faults.Kept, bool, error) {
		return r.Kept(ctx, m.ID)
	})
	if err != nil {
		return err
	}
	broken.Remove()
	r.Journal.FiredTimes("undecided", broken.Fired(), "refused by the proxy, then in quarantine")
	ids, err := replayOften(ctx, r, kept)
	if err != nil {
		return err
	}
	paid := 0
	for _, id := range ids {
		got, err := firstAnswer(ctx, r, faults.Message{ID: id, Key: m.Key})
		if err != nil {
			return err
		}
		if got.Outcome == order.Paid && !got.Duplicate {
			paid++
		} else if got.Outcome != order.Duplicate {
			return fmt.Errorf("a replay was %s", got.Outcome)
		}
		r.Journal.Fired("replay", "its answer")
	}
	if paid != 1 {
		return fmt.Errorf("%d replays paid %d times", len(ids), paid)
	}
	// Its sender has heard nothing, and sends it again.
	got, err := firstAnswer(ctx, r, r.Sender.Again(ctx, m))
	if err == nil && !got.Duplicate {
		err = fmt.Errorf("sent again after the replay, it was %s", got.Outcome)
	}
	return err
}

// replayOften replays a message and returns the IDs under which it was sent.
func replayOften(ctx context.Context, r *faults.Rig, kept faults.Kept) ([]string, error) {
	id := fmt.Sprint(kept.ID)
	var said [3]string
	var failed [3]error
	replay := func(n int) { said[n], failed[n] = r.Operate(ctx, "quarantine", "replay", id) }
	faults.Together(func() { replay(0) }, func() { replay(1) })
	// As after a crash between the sending and the mark.
	if _, err := r.SQL.ExecContext(ctx, `UPDATE quarantine SET state = 'open', resolved_at = NULL
WHERE id = ?`, kept.ID); err != nil {
		return nil, err
	}
	replay(2)
	var ids []string
	for n, text := range said {
		_, rest, sent := strings.Cut(text, "sent as ")
		if sent {
			message, _, _ := strings.Cut(strings.Fields(rest)[0], ",")
			ids = append(ids, message)
		} else if !strings.Contains(text, "is replayed already") {
			return nil, fmt.Errorf("replay said %q: %w", text, failed[n])
		}
	}
	if len(ids) < 2 {
		return nil, fmt.Errorf("want at least 2 replays: %q", said)
	}
	again, err := r.Operate(ctx, "quarantine", "replay", id)
	if err == nil || !strings.Contains(again, "is replayed already") {
		return nil, fmt.Errorf("replayed once more: %q (%w)", again, err)
	}
	return ids, nil
}
