package payment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// Guard decides a request once; idem.Guard is one.
type Guard interface {
	Process(ctx context.Context, req Request) idem.Decision[Answer]
}

// Results tells callers what became of their requests. Send returns when the broker has stored
// the result; it wraps idem.ErrUnavailable when the result topic takes none at the moment. A
// result may be stored twice, like any message.
type Results interface {
	Send(ctx context.Context, r order.Result) error
}

// Quarantine keeps messages that could not become a payment. Put returns when the message is
// durable; the same content is kept once. It never fails because of the content, and wraps
// idem.ErrUnavailable when the database is not there.
type Quarantine interface {
	Put(ctx context.Context, q Quarantined) error
}

// errNoReason stands in for the error that a guard owes with its Retry.
var errNoReason = errors.New("payment: the guard came to no decision and gave no reason")

// Options set the limits of a Service. Zero values take the defaults.
type Options struct {
	Instance string       // name of this process in results
	Limits   order.Limits // of what Decode accepts
	// Attempts is how often a failure of a single request is tried in place; default 3.
	Attempts int
	// Redeliveries is how often the broker delivers a message again before it becomes a dead
	// letter; default 16. The attempts of a dead letter are counted from there on.
	Redeliveries int
	// DeadLetterAttempts is how many deliveries a dead letter gets before it goes to the
	// quarantine undecided; default 3.
	DeadLetterAttempts int
	// Observe, if set, is told of each delivery when its disposition is known, with the context of
	// the delivery.
	Observe func(context.Context, Event)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Event reports one delivery, for metrics and logs. It carries no content of the message.
type Event struct {
	Outcome     order.Outcome
	Reason      string // why the outcome is not Paid; a bounded set of words
	By          string // who decided; empty for Rejected and Retry
	Disposition Disposition
	Message     Message // without its body
	Serial      order.Serial
	Steps       idem.Steps
	Retries     int // attempts in place beyond the first
	Took        time.Duration
	Err         error // why the outcome is Retry
}

// Service takes deliveries of order messages from their bytes to their disposition. It is safe
// for concurrent use; the guard gathers what is being handled at once into batches.
type Service struct {
	guard      Guard
	quarantine Quarantine
	results    Results
	database   *idem.Hold
	topic      *idem.Hold
	opts       Options
}

// NewService wires a service. The two holds make deliveries wait while the database or the
// result topic is down; they are shared with whoever reports readiness.
func NewService(
	guard Guard, quarantine Quarantine, results Results, database, topic *idem.Hold, opts Options,
) *Service {
	if opts.Attempts <= 0 {
		opts.Attempts = 3
	}
	if opts.Redeliveries <= 0 {
		opts.Redeliveries = 16
	}
	if opts.DeadLetterAttempts <= 0 {
		opts.DeadLetterAttempts = 3
	}
	if opts.Limits == (order.Limits{}) {
		opts.Limits = order.DefaultLimits()
	}
	if opts.Observe == nil {
		opts.Observe = func(context.Context, Event) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{
		guard: guard, quarantine: quarantine, results: results,
		database: database, topic: topic, opts: opts,
	}
}

// Handle takes one delivery to its outcome: decode, decide, quarantine what is not to be paid,
// answer the caller, and only then say Acknowledge. A crash before that leaves the message with
// the broker, and its next delivery finds whatever was done. Whatever cannot be finished before ctx
// ends, because a dependency is down, is given back.
func (s *Service) Handle(ctx context.Context, m Message) Disposition {
	return s.handle(ctx, m, false)
}

// HandleDeadLetter is Handle for a message that the broker has given up on. It may have been paid
// in one of its deliveries, or be the victim of an outage, so it is tried like any other; only
// what stays undecided although the database works goes to the quarantine.
func (s *Service) HandleDeadLetter(ctx context.Context, m Message) Disposition {
	asOrder := 1 + s.opts.Redeliveries
	return s.handle(ctx, m, m.Attempt >= asOrder+s.opts.DeadLetterAttempts)
}

func (s *Service) handle(ctx context.Context, m Message, lastTry bool) Disposition {
	start := s.opts.Now()
	e := Event{Message: m}
	e.Message.Body = nil
	o, err := order.Decode(m.Key, m.Body, s.opts.Limits)
	switch {
	case m.Defect != "":
		err = s.reject(ctx, m, m.Defect, "given back, it could not be delivered again", &e)
	case err != nil:
		err = s.reject(ctx, m, reasonOf(err), err.Error(), &e)
	default:
		err = s.pay(ctx, m, o, &e)
		if err != nil && lastTry && !errors.Is(err, idem.ErrUnavailable) && ctx.Err() == nil {
			err = s.giveUp(ctx, m, o, err, &e)
		}
	}
	e.Disposition = Acknowledge
	if err != nil {
		// Also after a decision: while its caller has not heard of it, the message is not done.
		e.Outcome, e.Reason, e.By = order.Retry, "", ""
		e.Disposition, e.Err = Redeliver, err
	}
	e.Took = s.opts.Now().Sub(start)
	s.opts.Observe(ctx, e)
	return e.Disposition
}

// pay decides a valid order and answers its caller.
func (s *Service) pay(ctx context.Context, m Message, o order.Order, e *Event) error {
	e.Serial = o.Serial
	decision, err := s.decide(ctx, o, e)
	if err != nil {
		return err
	}
	result := s.result(m, o, decision)
	e.Outcome, e.Reason, e.By = result.Outcome, string(result.Reason), result.DecidedBy
	e.Steps = decision.Steps
	if result.Outcome == order.Conflict {
		// Before the answer: a conflict that was answered and then lost could not be looked into.
		q := quarantined(m, KindConflict, e.Reason, differs(result.First), o.Serial, s.opts.Now())
		if err := s.putAside(ctx, q); err != nil {
			return err
		}
	}
	return s.topic.Do(ctx, func(ctx context.Context) error {
		return s.results.Send(ctx, result)
	})
}

// decide asks the guard: through the hold while the database is down, a few times in place when
// only this request failed.
func (s *Service) decide(
	ctx context.Context, o order.Order, e *Event,
) (idem.Decision[Answer], error) {
	for attempt := 1; ; attempt++ {
		var decision idem.Decision[Answer]
		err := s.database.Do(ctx, func(ctx context.Context) error {
			decision = s.guard.Process(ctx, NewRequest(o))
			return undecided(decision)
		})
		if err == nil || errors.Is(err, idem.ErrUnavailable) || attempt >= s.opts.Attempts {
			return decision, err
		}
		e.Retries++
		if !inPlace().Wait(ctx, attempt) {
			return decision, err
		}
	}
}

// undecided returns why a decision is none. Whatever is not one of the three verdicts that settle
// a request is no reason to acknowledge it, with or without an error.
func undecided(d idem.Decision[Answer]) error {
	switch d.Verdict {
	case idem.Decided, idem.Duplicate, idem.Conflict:
		return nil
	case idem.Retry:
		return cmp.Or(d.Err, errNoReason)
	default:
		return cmp.Or(d.Err, errNoReason)
	}
}

// reject quarantines a message that cannot be read. There is nobody to answer: the fields that
// would say who asked are the ones that cannot be trusted.
func (s *Service) reject(
	ctx context.Context, m Message, reason, detail string, e *Event,
) error {
	e.Outcome, e.Reason = order.Rejected, reason
	serial, _ := order.SerialOf(m.Body, s.opts.Limits) // whoever asked will look for it
	return s.putAside(ctx, quarantined(m, KindRejected, reason, detail, serial, s.opts.Now()))
}

// reasonOf says in a word why a message cannot be read.
func reasonOf(err error) string {
	var invalid *order.InvalidError
	if errors.As(err, &invalid) {
		return string(invalid.Code)
	}
	return "unreadable"
}

// giveUp quarantines a dead letter that stays undecided, or whose caller cannot be told: what has
// failed for the last time would come again for ever. Its detail says which error stood in the
// way; errors name what failed and never the content.
func (s *Service) giveUp(
	ctx context.Context, m Message, o order.Order, cause error, e *Event,
) error {
	e.Outcome, e.Reason, e.By = order.Rejected, ReasonUndecided, ""
	q := quarantined(m, KindUndecided, ReasonUndecided, cause.Error(), o.Serial, s.opts.Now())
	return s.putAside(ctx, q)
}

func (s *Service) putAside(ctx context.Context, q Quarantined) error {
	err := s.database.Do(ctx, func(ctx context.Context) error { return s.quarantine.Put(ctx, q) })
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return nil
}

// inPlace is the wait before a failed request is tried again in place.
func inPlace() idem.Backoff {
	return idem.Backoff{Min: 100 * time.Millisecond, Max: 400 * time.Millisecond}
}
