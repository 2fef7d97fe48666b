package payment

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is everything around a service. It writes down what happens in which order, and each of
// its parts fails with the next of the errors that it was given.
type world struct {
	mu         sync.Mutex
	log        []string
	decisions  []idem.Decision[Answer] // the last one is repeated
	putErrs    []error
	sendErrs   []error
	quarantine []Quarantined
	results    []order.Result
	events     []Event
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) Process(_ context.Context, req Request) idem.Decision[Answer] {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note("decide %s", req.Key)
	d := w.decisions[0]
	if len(w.decisions) > 1 {
		w.decisions = w.decisions[1:]
	}
	return d
}

// next takes the first of the errors; when they are used up everything works.
func next(errs *[]error) (err error) {
	if len(*errs) > 0 {
		err, *errs = (*errs)[0], (*errs)[1:]
	}
	return err
}

func (w *world) Put(_ context.Context, q Quarantined) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := next(&w.putErrs)
	w.note("quarantine %s: %v", q.Kind, err)
	if err == nil {
		w.quarantine = append(w.quarantine, q)
	}
	return err
}

func (w *world) Send(_ context.Context, r order.Result) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := next(&w.sendErrs)
	if err == nil {
		_, err = order.EncodeResult(r) // as the real one does
	}
	w.note("result %s: %v", r.Outcome, err)
	if err == nil {
		w.results = append(w.results, r)
	}
	return err
}

func (w *world) observe(_ context.Context, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// service wires a service to this world, with the default options.
func (w *world) service() *Service {
	return NewService(w, w, w, idem.NewHold(idem.HoldOptions{}), idem.NewHold(idem.HoldOptions{}),
		Options{Instance: "test-1", Observe: w.observe})
}

// decided is the decision of a transaction about serial S.
func decided(answer Answer) idem.Decision[Answer] {
	return idem.Decision[Answer]{Verdict: idem.Decided, By: idem.ByCommit, Record: Record{
		Key: "S", Answer: answer, DecidedAt: at(),
	}}
}

func retry(err error) idem.Decision[Answer] {
	return idem.Decision[Answer]{Verdict: idem.Retry, Err: err}
}

// validMessage carries the order O under serial S.
func validMessage() Message {
	o := transfer("S", "O", "payer", "payee", 10).Payload
	return Message{Topic: "ORDER_PAYMENT", Key: "O", ID: "M1", Body: order.Encode(o), Attempt: 2}
}
