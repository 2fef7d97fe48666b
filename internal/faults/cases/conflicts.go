package cases

import (
	"context"
	"fmt"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// contentRounds is how many serials are sent with other content in each way.
const contentRounds = 10

// otherContent sends serials again with another amount, payee or currency: after the first is
// decided and the cache knows nothing, all at once, and after the cache knows it. One is decided,
// the others are conflicts.
func otherContent(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	orders := newOrders(r, contentRounds)
	if err := awaitAnswers(ctx, r, "orders", sendTogether(ctx, r, orders...)...); err != nil {
		return err
	}
	if err := r.Stack.FlushCache(ctx); err != nil {
		return err
	}
	if err := conflicts(ctx, r, "conflict one after the other", orders); err != nil {
		return err
	}
	if err := atOnce(ctx, r); err != nil {
		return err
	}
	orders = newOrders(r, contentRounds)
	if err := warm(ctx, r, orders); err != nil {
		return err
	}
	return conflicts(ctx, r, "conflict with a warm cache", orders)
}

// variants are the same serial with other content.
func variants(r *faults.Rig, o order.Order) []order.Order {
	amount, payee, currency, everything := o, o, o, r.Sender.Order()
	amount.Amount.Minor += 1 + r.Random.Int64N(1000)
	payee.Payee = o.Payer // refused if it came first, and a conflict as it comes second
	currency.Amount.Currency = "USD"
	// With accounts of its own it waits for nobody's lock: only the serial's unique key is in its way.
	everything.Serial = o.Serial
	return []order.Order{amount, payee, currency, everything}
}

// conflicts sends the variants of orders that are decided, and wants each of them to be told so.
func conflicts(ctx context.Context, r *faults.Rig, kind string, orders []order.Order) error {
	var changed []order.Order
	for _, o := range orders {
		changed = append(changed, variants(r, o)...)
	}
	messages := sendTogether(ctx, r, changed...)
	if err := awaitAnswers(ctx, r, "other content", messages...); err != nil {
		return err
	}
	for _, m := range messages {
		for _, a := range r.Answers.Answers(m.ID) {
			if a.Outcome != order.Conflict {
				return fmt.Errorf("serial %s with other content was told %s", a.Serial, a.Outcome)
			}
			r.Journal.Fired(kind, "the answer")
		}
	}
	return nil
}

// atOnce sends each order and its variants side by side: whichever comes first is decided.
func atOnce(ctx context.Context, r *faults.Rig) error {
	var all []order.Order
	for _, o := range newOrders(r, contentRounds) {
		all = append(append(all, o), variants(r, o)...)
	}
	messages := sendTogether(ctx, r, all...)
	if err := awaitAnswers(ctx, r, "contents at once", messages...); err != nil {
		return err
	}
	for _, m := range messages {
		for _, a := range r.Answers.Answers(m.ID) {
			if a.Outcome == order.Conflict {
				r.Journal.Fired("conflict at once", "the answer")
			}
		}
	}
	return nil
}

// warm sends orders and their repeats until the cache answers for each of them.
func warm(ctx context.Context, r *faults.Rig, orders []order.Order) error {
	return faults.Until(ctx, "a warm cache", trafficLimit, func() bool {
		messages := sendTogether(ctx, r, orders...)
		if awaitAnswers(ctx, r, "repeats", messages...) != nil {
			return false
		}
		for _, m := range messages {
			for _, a := range r.Answers.Answers(m.ID) {
				if a.DecidedBy != "cache" {
					return false
				}
			}
		}
		return true
	})
}
