package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

func duplicates() []faults.Case {
	return []faults.Case{{
		ID: "F34", Title: "a serial twice in one batch", Quick: true,
		Faults: []string{"twice in one batch"},
		Run:    twiceInOneBatch,
	}, {
		ID: "F35", Title: "a serial in all queues, three consumers, released at once", Quick: true,
		Faults: []string{"consumers race for a serial"},
		Run:    func(ctx context.Context, r *faults.Rig) error { return raceForSerial(ctx, r, 2) },
	}, {
		ID: "F35x", Title: "the same, many times",
		Faults: []string{"consumers race for a serial"},
		Run:    func(ctx context.Context, r *faults.Rig) error { return raceForSerial(ctx, r, 60) },
	}, {
		ID: "F37", Title: "one of many fails",
		Faults: []string{"one of a batch refused", "one statement failed"},
		Run:    failOneOfMany,
	}, {
		ID: "F38", Title: "consumers come and go, and the topic gets more queues",
		Faults: []string{"consumer left", "kill", "queues added"},
		Run:    rebalanceStorm,
	}, {
		// Of its own, because it replays everything that there ever was.
		ID: "F39", Title: "offsets are set back to 0, with a warm cache and with an empty one",
		Alone: true, Faults: []string{"offsets set back", "cache flushed"},
		Run: replayFromZero,
	}, {
		ID: "F40", Title: "everything comes again after the cache has forgotten it",
		Faults: []string{"cache keys expired"},
		Run:    replayAfterExpiry,
	}, {
		ID: "F41", Title: "a producer gets no answer and sends again",
		Faults: []string{"answer to a send lost"},
		Run:    resendAfterTimeout,
	}, {
		ID: "F42", Title: "a serial again with another amount, payee or currency", Quick: true,
		Faults: []string{"conflict one after the other", "conflict at once",
			"conflict with a warm cache"},
		Run: otherContent,
	}}
}

// pairs is how many serials come twice in one batch.
const pairs = 40

// twiceInOneBatch gathers pairs of the same order, and a third with another amount to some, in
// one batch. Of each pair one pays, and the other is answered by the batch itself.
func twiceInOneBatch(ctx context.Context, r *faults.Rig) error {
	c, err := startAlone(ctx, r)
	if err != nil {
		return err
	}
	var orders []order.Order
	for n, o := range newOrders(r, pairs) {
		orders = append(orders, o, o)
		if n%4 == 0 {
			o.Amount.Minor++
			orders = append(orders, o)
		}
	}
	messages, err := gather(ctx, r, c, orders...)
	if err != nil {
		return err
	}
	if err := awaitAnswers(ctx, r, "pairs in one batch", messages...); err != nil {
		return err
	}
	byBatch := 0
	for _, m := range messages {
		for _, a := range r.Answers.Answers(m.ID) {
			if a.DecidedBy == "batch" {
				byBatch++
			}
		}
	}
	r.Journal.FiredTimes("twice in one batch", byBatch, "the answer says who decided")
	if byBatch < pairs {
		return fmt.Errorf("the batch has answered %d of %d pairs", byBatch, pairs)
	}
	return nil
}

// racers is how many consumers race, and copies how many messages of each serial there are: two
// for each queue.
const (
	racers = 3
	copies = 16
)

// raceForSerial lets consumers race for a serial: each has looked it up, found nothing, and
// stands before its transaction, when all are released.
func raceForSerial(ctx context.Context, r *faults.Rig, rounds int) error {
	for range racers {
		if _, err := r.Start(ctx, patientEnv); err != nil {
			return err
		}
	}
	for won, tries := 0, 0; won < rounds; tries++ {
		if tries == 10*rounds {
			return fmt.Errorf("of %d races all consumers were in %d", tries, won)
		}
		o := r.Sender.Order()
		if tries%2 == 1 {
			// What is declined has no order's unique key to help the serial's.
			o = r.Sender.Refused()[order.InsufficientFunds]
		}
		all, err := raceOnce(ctx, r, o)
		if err != nil {
			return err
		}
		if all {
			won++
			r.Journal.Fired("consumers race for a serial", "its answers come from all of them")
		}
	}
	return nil
}

// holdRacers sends copies of an order, and keeps the transactions that would pay it before their
// beginning: the wanted number of them if there are so many in time. While the group still settles,
// some queues have no reader yet.
func holdRacers(
	ctx context.Context, r *faults.Rig, o order.Order, want int,
) (*mysqlproxy.Rule, []faults.Message) {
	held := holdTransactions(r)
	messages := sendTogether(ctx, r, copiesOf(o, copies)...)
	_ = faults.Until(ctx, "racers at the start", gatherLimit, func() bool {
		return held.Fired() >= want
	})
	return held, messages
}

// raceOnce reports whether every consumer was in the race.
func raceOnce(ctx context.Context, r *faults.Rig, o order.Order) (bool, error) {
	held, messages := holdRacers(ctx, r, o, racers) // with fewer, it is no race
	held.Remove()
	held.Release()
	if err := awaitAnswers(ctx, r, "a race", messages...); err != nil {
		return false, err
	}
	instances, decided := map[string]bool{}, 0
	for _, m := range messages {
		for _, a := range r.Answers.Answers(m.ID) {
			instances[a.Instance] = true
			if !a.Duplicate {
				decided++
			}
		}
	}
	if decided > 1 {
		return false, faults.NewDemand("A2",
			fmt.Errorf("%d answers say that the serial was decided just now", decided))
	}
	return len(instances) == racers && held.Fired() >= racers, nil
}

// batchSize is the number of orders in the batches that something goes wrong in.
const batchSize = 30

// failOneOfMany wants one order that fails to cost its neighbours nothing, and a statement that
// fails once to cost nobody anything.
func failOneOfMany(ctx context.Context, r *faults.Rig) error {
	c, err := startAlone(ctx, r)
	if err != nil {
		return err
	}
	if err := refuseOne(ctx, r, c); err != nil {
		return err
	}
	return failOneStatement(ctx, r, c)
}

// refuseOne puts an order that the database refuses to hold, by a trigger of the administrator's,
// among many in one batch. The others are paid while it is refused; when the trigger is gone, it
// is paid too.
func refuseOne(ctx context.Context, r *faults.Rig, c *faults.Consumer) (err error) {
	orders := newOrders(r, batchSize)
	at := r.Random.IntN(len(orders))
	if _, err := r.SQL.ExecContext(ctx, fmt.Sprintf(`CREATE TRIGGER refuse_one
BEFORE INSERT ON payments FOR EACH ROW IF NEW.serial_no = '%s' THEN
  SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1264, MESSAGE_TEXT = 'refused by the rig';
END IF`, orders[at].Serial)); err != nil {
		return err
	}
	defer func() {
		_, dropped := r.SQL.ExecContext(context.WithoutCancel(ctx), "DROP TRIGGER refuse_one")
		err = errors.Join(err, dropped)
	}()
	before := r.Database.Errors(1264)
	messages, err := gather(ctx, r, c, orders...)
	if err != nil {
		return err
	}
	others := slices.Concat(messages[:at], messages[at+1:])
	if err := awaitAnswers(ctx, r, "the others of a batch", others...); err != nil {
		return err
	}
	refused := r.Database.Errors(1264) - before
	r.Journal.FiredTimes("one of a batch refused", refused, "the server's errors")
	if inDatabase(ctx, r, orders[at]) || refused < 2 {
		return fmt.Errorf("the order was refused %d times, and not within a batch", refused)
	}
	return spared(ctx, r)
}

// spared wants only the order that was refused to have been tried again: its neighbours would
// also be paid in the end if each of them had to come back, by luck, in another batch.
func spared(ctx context.Context, r *faults.Rig) error {
	inPlace := sumMetric(ctx, r, "payment_retries_total", `reason="in_place"`)
	// Each delivery of the one order that fails is tried a few times and then comes again.
	deliveries := 1 + sumMetric(ctx, r, "payment_retries_total", `reason="redelivery"`)
	if inPlace > 3*deliveries {
		return fmt.Errorf("%d retries for %d deliveries of one order: its neighbours paid for it",
			inPlace, deliveries)
	}
	return nil
}

// failOneStatement makes a statement of a whole batch fail once, with an error that nobody knows:
// all of the batch is tried again.
func failOneStatement(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	const unknown = 1105
	for _, after := range []string{"FROM accounts FORCE", "INSERT INTO payments"} {
		orders := newOrders(r, batchSize)
		// The first statement after that one which names the batch's serial is the next INSERT.
		failed := r.Database.Next(mysqlproxy.Match{
			Statement: "'" + string(orders[0].Serial) + "'", After: after,
		}, mysqlproxy.Refuse(unknown))
		messages, err := gather(ctx, r, c, orders...)
		if err != nil {
			return err
		}
		if err := awaitAnswers(ctx, r, "a batch that has failed once", messages...); err != nil {
			return err
		}
		if failed.Fired() == 0 {
			return errors.New("no statement of the batch has failed")
		}
		r.Journal.Fired("one statement failed", "the proxy")
	}
	return nil
}
