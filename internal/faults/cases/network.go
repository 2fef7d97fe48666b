package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/faults"
)

func network() []faults.Case {
	return []faults.Case{{
		ID: "F25", Title: "the connection breaks at each statement of the transaction",
		Faults: []string{"cut at a statement", "cut within a statement"},
		Run:    cutStatements,
	}, {
		ID: "F26", Title: "what passes to and from the servers comes a byte at a time",
		Faults: []string{"database sliced", "cache sliced"},
		Run:    sliceBytes,
	}, {
		ID: "F27", Title: "Redis answers two seconds late",
		Faults: []string{"cache late"},
		Run:    delayCache,
	}, {
		ID: "F28", Title: "Redis stores the answer, and its reply is lost",
		Faults: []string{"reply to SET lost"},
		Run:    loseRepliesToSet,
	}, {
		ID: "F29", Title: "the broker's connection breaks at the acknowledgement",
		Faults: []string{"cut at the acknowledgement"},
		Run:    cutAcknowledgements,
	}, {
		ID: "F30", Title: "the broker takes nothing back", Quick: true,
		Faults: []string{"send-back refused", "fall-back send refused"},
		Run:    refuseSendBacks,
	}, {
		ID: "F33", Title: "the name server hands out a broker that is dead",
		// Of its own, because senders remember the dead broker for half a minute.
		Alone:  true,
		Faults: []string{"dead broker handed out", "result for a dead broker"},
		Run:    handOutDeadBroker,
	}}
}

// transactionStatements are the lookup and then the statements of the payment transaction, each
// by a text that no other has.
func transactionStatements() []mysqlproxy.Match {
	matches := []mysqlproxy.Match{paymentCommit()}
	for _, text := range []string{
		"WHERE p.serial_no IN", "SET TRANSACTION", "START TRANSACTION", "FROM accounts FORCE",
		"WHERE p.paid_order_id IN", "INSERT INTO payments", "INSERT INTO ledger_entries",
		"INSERT INTO accounts",
	} {
		matches = append(matches, mysqlproxy.Containing(text))
	}
	return matches
}

const (
	// cutsPerStatement is how often each statement is cut before the server gets it, and as often
	// after it has carried it out.
	cutsPerStatement = 2
	// cutsWithin is how many connections are reset in the middle of whatever they send, and
	// transactionBytes about how much the statements of one transaction take.
	cutsWithin       = 12
	transactionBytes = 8000
)

// cutStatements breaks the connection at each statement before the server gets it and after the
// server has carried it out, and then anywhere within the bytes.
func cutStatements(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	// Second serials make transactions look for orders that are paid.
	load := faults.Mix{PerSecond: 100, Repeat: 0.2, Alter: 0.02, Second: 0.05}
	stop := r.Sender.Background(ctx, load)
	defer stop()
	for _, match := range transactionStatements() {
		for when, fate := range map[string]mysqlproxy.Fate{
			"before": mysqlproxy.CutBefore(), "after": mysqlproxy.CutAfter(),
		} {
			for range cutsPerStatement {
				where := when + " " + match.Statement
				cut := r.Database.Next(match, fate)
				if err := awaitDone(ctx, cut.Done(), "a cut "+where); err != nil {
					return err
				}
				r.Journal.Fired("cut at a statement", where)
			}
		}
	}
	return cutWithinStatements(ctx, r)
}

func cutWithinStatements(ctx context.Context, r *faults.Rig) error {
	for range cutsWithin {
		bytes := r.Random.Int64N(transactionBytes)
		before := r.DatabaseLink.Stats().Resets
		if err := r.DatabaseLink.CutAfter(bytes); err != nil {
			return err
		}
		err := faults.Until(ctx, fmt.Sprintf("a reset after %d bytes", bytes), trafficLimit,
			func() bool { return r.DatabaseLink.Stats().Resets > before })
		if err := errors.Join(err, r.DatabaseLink.Reset()); err != nil {
			return err
		}
		r.Journal.FiredTimes("cut within a statement", r.DatabaseLink.Stats().Resets-before,
			"the link")
	}
	return nil
}

// awaitDone waits until a channel is closed.
func awaitDone(ctx context.Context, done <-chan struct{}, what string) error {
	return faults.Until(ctx, what, trafficLimit, func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
}

// slicedOrders is how many orders pass in single bytes, to either server.
const slicedOrders = 150

// sliceBytes lets whole loads pass in single bytes, and wants the cache to have answered through
// them: a reply that is put together wrongly would only show as a miss.
func sliceBytes(ctx context.Context, r *faults.Rig) error {
	if err := r.DatabaseLink.Slice(1, 0); err != nil {
		return err
	}
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	if err := paidMeanwhile(ctx, r, "orders in single bytes"); err != nil {
		return err
	}
	r.Journal.FiredTimes("database sliced", r.DatabaseLink.Stats().Slices, "the link")
	if err := errors.Join(r.DatabaseLink.Reset(), r.Cache.Slice(1, 0)); err != nil {
		return err
	}
	if err := paidMeanwhile(ctx, r, "orders in single bytes"); err != nil {
		return err
	}
	err = faults.Until(ctx, "a hit through single bytes", trafficLimit, func() bool {
		o := r.Sender.Order()
		for range 2 {
			if awaitAnswers(ctx, r, "an order and its repeat", r.Sender.Send(ctx, o)) != nil {
				return false
			}
		}
		hits, err := c.Metric(ctx, "payment_cache_lookups_total", `result="hit"`)
		return err == nil && hits > 0
	})
	r.Journal.FiredTimes("cache sliced", r.Cache.Stats().Slices, "the link")
	return err
}

// paidMeanwhile sends a load, repeats and conflicts among it, and waits until everything that was
// sent is answered: in spite of the fault that is in force, and not after it.
func paidMeanwhile(ctx context.Context, r *faults.Rig, what string) error {
	before := len(r.Record.All())
	r.Sender.Load(ctx, faults.Mix{Orders: slicedOrders, Repeat: 0.2, Alter: 0.02})
	return awaitAnswers(ctx, r, what, r.Record.All()[before:]...)
}

// lateBy is how long Redis takes for each answer; a lookup may take a twentieth of it.
const lateBy = 2 * time.Second
