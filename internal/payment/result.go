package payment

import (
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// result is the message that answers one delivery.
func (s *Service) result(
	m Message, o order.Order, d idem.Decision[Answer],
) order.Result {
	r := order.Result{
		OrderID:   o.ID,
		Serial:    o.Serial,
		DecidedAt: s.opts.Now(),
		DecidedBy: sourceName(d.By),
		MessageID: m.ID,
		Attempt:   m.Attempt,
		Instance:  s.opts.Instance,
		Steps:     order.Steps(d.Steps),
	}
	answer := d.Record.Answer
	switch d.Verdict {
	case idem.Decided:
		r.Outcome, r.Reason, r.DecidedAt = answer.Outcome, answer.Reason, d.Record.DecidedAt
	case idem.Duplicate:
		r.Outcome, r.Reason, r.Duplicate = order.Duplicate, answer.Reason, true
		r.First = first(d.Record)
	case idem.Conflict:
		r.Outcome, r.Reason, r.First = order.Conflict, order.SerialReused, first(d.Record)
		if r.First != nil && r.First.Serial != o.Serial {
			r.Reason = order.OrderAlreadyPaid
		}
	case idem.Retry: // never answered: the message comes again
	}
	return r
}

// differs says of a conflict what it conflicts with.
func differs(first *order.First) string {
	if first == nil {
		return "differs in business content from what was decided before"
	}
	return "differs from serial " + string(first.Serial) + " in business content"
}

// first is what the record's request was told, if the record is known. A second serial of a paid
// order is pointed to the payment itself.
func first(record Record) *order.First {
	if record.Key == "" {
		return nil
	}
	if record.Answer.Outcome == order.Duplicate {
		return &order.First{
			Outcome:   order.Paid,
			Serial:    record.Answer.First,
			DecidedAt: record.Answer.FirstAt,
		}
	}
	return &order.First{
		Outcome:   record.Answer.Outcome,
		Reason:    record.Answer.Reason,
		Serial:    order.Serial(record.Key),
		DecidedAt: record.DecidedAt,
	}
}

// sourceName is how a result and a metric label call who decided.
func sourceName(by idem.Source) string {
	switch by {
	case idem.ByCommit:
		return "transaction"
	case idem.ByBatch:
		return "batch"
	case idem.ByCache:
		return "cache"
	case idem.ByStore:
		return "database"
	case idem.ByUnique:
		return "unique_key"
	default:
		return ""
	}
}
