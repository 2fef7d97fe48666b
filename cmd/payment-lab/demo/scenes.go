package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
)

// pay100 are the flags of the order that several scenes send again.
func pay100(amount string) []string {
	return []string{
		"--order-id", "ORDERID_100", "--serial", "PAY_100",
		"--payer", "user-1", "--payee", "shop-1", "--amount", amount,
	}
}

func (s *show) firstTime(ctx context.Context) error {
	if _, err := s.expect(ctx, order.Paid, "PAY_100: 19.99 CNY from user-1 to shop-1",
		pay100("19.99")...); err != nil {
		return err
	}
	messages, err := s.load(ctx, "first", "--orders", "40", "--seed", "1")
	if err != nil {
		return err
	}
	if err := s.awaitAll(ctx, messages); err != nil {
		return err
	}
	s.say("40 more orders, by order-producer load: %s", s.tally(messages))
	return nil
}

func (s *show) requestAgain(ctx context.Context) error {
	_, err := s.expect(ctx, order.Duplicate,
		"PAY_100 sent again: another message ID, the same serial", pay100("19.99")...)
	return err
}

func (s *show) cacheFlush(ctx context.Context) error {
	if err := s.Stack.FlushCache(ctx); err != nil {
		return err
	}
	s.say("Redis is emptied")
	by, err := s.expect(ctx, order.Duplicate, "PAY_100 again", pay100("19.99")...)
	if err == nil && by != "database" {
		err = fmt.Errorf("answered by %s, not by the database", by)
	}
	if err != nil {
		return err
	}
	_, err = s.expect(ctx, order.Duplicate, "and again, now that the cache is mended",
		pay100("19.99")...)
	return err
}

// lostAnswer loses the broker's answer to a send. The producer's client sends the message again
// as it is, so the broker stores two copies with one unique ID.
func (s *show) lostAnswer(ctx context.Context) error {
	dropped := s.Stack.Proxy().DropAnswer(devstack.OrderTopic)
	m, err := s.send(ctx, "--order-id", "ORDERID_101", "--serial", "PAY_101",
		"--payer", "user-2", "--payee", "shop-1", "--amount", "5.00")
	if err != nil {
		return err
	}
	select {
	case <-dropped:
	default:
		return errors.New("no answer was dropped")
	}
	answers, err := s.await(ctx, m.MessageID, 2)
	if err != nil {
		return err
	}
	s.say("the answer to PAY_101 was lost on the way; the client sent the message again")
	s.sayAnswers(answers)
	return nil
}

// killedConsumer kills a consumer that has paid and answered, and whose acknowledgements have
// not reached the broker: the client writes them every five seconds. If it has just done so,
// there is nothing to deliver again, and the scene is played once more.
func (s *show) killedConsumer(ctx context.Context) error {
	for round := 1; round <= 4; round++ {
		messages, err := s.load(ctx, fmt.Sprint("kill-", round), "--orders", "24",
			"--seed", fmt.Sprint(100+round))
		if err != nil {
			return err
		}
		if err := s.awaitAll(ctx, messages); err != nil {
			return err
		}
		if err := s.consumers["A"].process.Kill(); err != nil {
			return err
		}
		s.say("24 orders are answered; consumer A is killed with -9")
		again := func() bool { return s.tally(messages).further > 0 }
		_ = devstack.Until(ctx, "redeliveries", againLimit, again)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if again() {
			s.say("its messages came again, to B: %s", s.tally(messages))
			return s.startConsumers(ctx, "A")
		}
		s.say("the acknowledgements had just been written; once more")
		if err := s.startConsumers(ctx, "A"); err != nil {
			return err
		}
	}
	return errors.New("no message came again in 4 rounds")
}

// rebalance lets a consumer join while messages are under way. Their queues get a new owner, who
// starts at the last acknowledged message; the old owner finishes what it has begun, and its
// acknowledgements no longer count. A row lock in the database keeps the messages under way.
func (s *show) rebalance(ctx context.Context) error {
	release, err := s.Stack.HoldRow(ctx,
		"SELECT balance_minor FROM accounts WHERE account_id = 'slow-1' FOR UPDATE")
	if err != nil {
		return err
	}
	messages, err := s.load(ctx, "rebalance", "--orders", "32", "--seed", "200",
		"--payers", "1", "--payer-prefix", "slow-")
	if err != nil {
		return errors.Join(err, release())
	}
	s.say("32 orders wait for a row lock on their payer's account")
	if err := s.startConsumers(ctx, "C"); err != nil {
		return errors.Join(err, release())
	}
	if err := release(); err != nil {
		return err
	}
	s.say("consumer C has joined, queues have moved, the lock is released")
	if err := s.awaitAll(ctx, messages); err != nil {
		return err
	}
	if err := until(ctx, "a redelivery after the rebalance", func() bool {
		return s.tally(messages).further > 0
	}); err != nil {
		return err
	}
	s.say("%s", s.tally(messages))
	return s.stopConsumer(ctx, "C")
}

func (s *show) conflict(ctx context.Context) error {
	if _, err := s.expect(ctx, order.Conflict, "PAY_100 with 1999.00 instead of 19.99",
		pay100("1999.00")...); err != nil {
		return err
	}
	s.say("it is in quarantine: payment-consumer quarantine list")
	return nil
}

func (s *show) malformed(ctx context.Context) error {
	m, err := s.send(ctx, "--key", "ORDERID_102",
		"--raw-body", `{"version":1,"order_id":"ORDERID_102","amount":"a lot"}`)
	if err != nil {
		return err
	}
	var rejected []quarantined
	if err := until(ctx, "the quarantine", func() bool {
		rejected, err = s.rejected(ctx)
		return err == nil && len(rejected) > 0
	}); err != nil {
		return err
	}
	if rejected[0].MessageID != m.MessageID {
		return fmt.Errorf("quarantined is message %s, sent was %s", rejected[0].MessageID, m.MessageID)
	}
	s.say("rejected (%s) and kept in quarantine, with its body and where it came from",
		rejected[0].Reason)
	return nil
}

func (s *show) overdraft(ctx context.Context) error {
	flags := []string{"--order-id", "ORDERID_103", "--serial", "PAY_103",
		"--payer", "user-1", "--payee", "shop-1", "--amount", "1000000.00"}
	if _, err := s.expect(ctx, order.Declined, "PAY_103: 1000000.00 CNY from user-1",
		flags...); err != nil {
		return err
	}
	_, err := s.expect(ctx, order.Duplicate,
		"PAY_103 again: what is declined stays declined", flags...)
	return err
}

// expect sends one order, waits for its answer, and says who decided.
func (s *show) expect(
	ctx context.Context, want order.Outcome, what string, flags ...string,
) (by string, err error) {
	m, err := s.send(ctx, flags...)
	if err != nil {
		return "", err
	}
	answers, err := s.await(ctx, m.MessageID, 1)
	if err != nil {
		return "", err
	}
	s.say("%s", what)
	s.sayAnswers(answers)
	if got := answers[0].Outcome; got != want {
		return "", fmt.Errorf("%s is %s, expected %s", m.Serial, got, want)
	}
	return answers[0].DecidedBy, nil
}

func (s *show) sayAnswers(answers []order.Result) {
	for _, r := range answers {
		line := fmt.Sprintf("   -> %s, decided by the %s",
			r.Outcome, strings.ReplaceAll(r.DecidedBy, "_", " "))
		if r.Reason != "" {
			line += fmt.Sprintf(" (%s)", r.Reason)
		}
		if r.First != nil {
			line += fmt.Sprintf("; first answer: %s at %s", r.First.Outcome,
				r.First.DecidedAt.Format("15:04:05.000"))
		}
		s.say("%s", line)
	}
}
