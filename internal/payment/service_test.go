package payment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// What becomes of each verdict: what the caller is told, what is put aside, in which order.
func TestService_HandleVerdicts(t *testing.T) {
	t.Parallel()
	paid := Answer{Outcome: order.Paid}
	poor := declined(order.InsufficientFunds)
	second := Answer{Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid, First: "S0",
		FirstAt: at().Add(-time.Hour)}
	firstPaid := &order.First{Outcome: order.Paid, Serial: "S", DecidedAt: at()}
	record := func(key idem.Key, answer Answer) Record {
		return Record{Key: key, Answer: answer, DecidedAt: at()}
	}
	for name, c := range map[string]struct {
		decision idem.Decision[Answer]
		want     order.Result
		detail   string // of the quarantine
	}{
		"Paid": {decided(paid),
			order.Result{Outcome: order.Paid, DecidedBy: "transaction", DecidedAt: at()}, ""},
		"Declined": {decided(poor), order.Result{Outcome: order.Declined,
			Reason: order.InsufficientFunds, DecidedBy: "transaction", DecidedAt: at()}, ""},
		"DuplicateOfPaid": {
			idem.Decision[Answer]{Verdict: idem.Duplicate, By: idem.ByCache,
				Record: record("S", paid)},
			order.Result{Outcome: order.Duplicate, Duplicate: true, DecidedBy: "cache",
				First: firstPaid}, ""},
		"DuplicateOfDeclined": {
			idem.Decision[Answer]{Verdict: idem.Duplicate, By: idem.ByUnique,
				Record: record("S", poor)},
			order.Result{Outcome: order.Duplicate, Duplicate: true, DecidedBy: "unique_key",
				Reason: order.InsufficientFunds, First: &order.First{Outcome: order.Declined,
					Reason: order.InsufficientFunds, Serial: "S", DecidedAt: at()}}, ""},
		"SecondSerial": {
			idem.Decision[Answer]{Verdict: idem.Duplicate, By: idem.ByStore,
				Record: record("S", second)},
			order.Result{Outcome: order.Duplicate, Duplicate: true, DecidedBy: "database",
				Reason: order.OrderAlreadyPaid, First: &order.First{Outcome: order.Paid,
					Serial: "S0", DecidedAt: at().Add(-time.Hour)}}, ""},
		"ConflictOfSerial": {
			idem.Decision[Answer]{Verdict: idem.Conflict, By: idem.ByBatch,
				Record: record("S", paid)},
			order.Result{Outcome: order.Conflict, Reason: order.SerialReused, DecidedBy: "batch",
				First: firstPaid}, "differs from serial S in business content"},
		"ConflictOfOrder": {
			idem.Decision[Answer]{Verdict: idem.Conflict, By: idem.ByStore,
				Record: record("S0", paid)},
			order.Result{Outcome: order.Conflict, Reason: order.OrderAlreadyPaid,
				DecidedBy: "database", First: &order.First{Outcome: order.Paid, Serial: "S0",
					DecidedAt: at()}}, "differs from serial S0 in business content"},
		"ConflictWithoutRecord": {
			idem.Decision[Answer]{Verdict: idem.Conflict, By: idem.ByStore},
			order.Result{Outcome: order.Conflict, Reason: order.SerialReused,
				DecidedBy: "database"}, "differs in business content from what was decided before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkVerdict(t, c.decision, c.want, c.detail)
		})
	}
}

func checkVerdict(t *testing.T, d idem.Decision[Answer], want order.Result, detail string) {
	t.Helper()
	d.Steps = idem.Steps{Wait: 1, Cache: 2, Find: 3, Commit: 4, Put: 5}
	w := &world{decisions: []idem.Decision[Answer]{d}}
	s := w.service()
	now := at().Add(time.Minute)
	s.opts.Now = func() time.Time { return now }
	if got := s.Handle(t.Context(), validMessage()); got != Acknowledge {
		t.Fatalf("disposition %d, want Acknowledge", got)
	}
	want.OrderID, want.Serial, want.MessageID = "O", "S", "M1"
	want.Attempt, want.Instance = 2, "test-1"
	want.Steps = order.Steps{Wait: 1, Cache: 2, Find: 3, Commit: 4, Put: 5}
	if want.DecidedAt.IsZero() {
		want.DecidedAt = now
	}
	if diff := cmp.Diff([]order.Result{want}, w.results); diff != "" {
		t.Errorf("results:\n%s", diff)
	}
	expectConflictFirst(t, w, want.Outcome == order.Conflict, detail)
	expectEvent(t, w, want)
}

// expectConflictFirst wants a conflict in quarantine before its caller hears of it.
func expectConflictFirst(t *testing.T, w *world, conflict bool, detail string) {
	t.Helper()
	want := []string{"decide S", fmt.Sprintf("result %s: <nil>", w.results[0].Outcome)}
	if conflict {
		want = []string{"decide S", "quarantine conflict: <nil>", "result conflict: <nil>"}
	}
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Errorf("order of effects:\n%s", diff)
	}
	if !conflict {
		return
	}
	q := w.quarantine[0]
	if q.Serial != "S" || q.Detail != detail || q.Reason != string(w.results[0].Reason) ||
		cmp.Diff(q.Message, validMessage()) != "" {
		t.Errorf("in quarantine: %+v", q)
	}
}

func expectEvent(t *testing.T, w *world, want order.Result) {
	t.Helper()
	if len(w.events) != 1 {
		t.Fatalf("%d events, want 1", len(w.events))
	}
	e := w.events[0]
	if e.Outcome != want.Outcome || e.Reason != string(want.Reason) || e.By != want.DecidedBy ||
		e.Disposition != Acknowledge || e.Serial != "S" || e.Err != nil || e.Message.ID != "M1" {
		t.Errorf("event %+v", e)
	}
	if e.Message.Body != nil {
		t.Error("the event carries the body")
	}
}

// What cannot be read is put aside with its reason, and nobody is answered.
func TestService_HandleRejected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Message)
		reason string
		serial order.Serial // as far as it can be read
	}{
		"Empty":    {func(m *Message) { m.Body = nil }, "body_empty", ""},
		"NotJSON":  {func(m *Message) { m.Body = []byte("{") }, "bad_json", ""},
		"OtherKey": {func(m *Message) { m.Key = "O2" }, "key_mismatch", "S"},
		"TooLarge": {func(m *Message) { m.Body = make([]byte, 1<<20) }, "body_too_large", ""},
	} {
		w := &world{}
		m := validMessage()
		c.change(&m)
		if got := w.service().Handle(t.Context(), m); got != Acknowledge {
			t.Errorf("%s: disposition %d, want Acknowledge", name, got)
		}
		if diff := cmp.Diff([]string{"quarantine rejected: <nil>"}, w.log); diff != "" {
			t.Fatalf("%s: order of effects:\n%s", name, diff)
		}
		q := w.quarantine[0]
		if q.Reason != c.reason || q.Serial != c.serial || q.Detail == "" || q.Message.ID != m.ID ||
			q.Message.Key != m.Key || !bytes.Equal(q.Message.Body, m.Body) {
			t.Errorf("%s: in quarantine for %s: %s", name, q.Reason, q.Detail)
		}
		if e := w.events[0]; e.Outcome != order.Rejected || e.Reason != c.reason || e.By != "" ||
			e.Message.Body != nil {
			t.Errorf("%s: event %+v", name, e)
		}
	}
}

// A failure of one request is tried in place, three times in all, and then given back.
func TestService_HandleTriesInPlace(t *testing.T) {
	t.Parallel()
	failure := errors.New("this one only")
	paid := decided(Answer{Outcome: order.Paid})
	for name, c := range map[string]struct {
		decisions []idem.Decision[Answer]
		want      Disposition
		tries     int
	}{
		"Once":       {[]idem.Decision[Answer]{retry(failure), paid}, Acknowledge, 2},
		"Twice":      {[]idem.Decision[Answer]{retry(failure), retry(failure), paid}, Acknowledge, 3},
		"Always":     {[]idem.Decision[Answer]{retry(failure)}, Redeliver, 3},
		"NoReason":   {[]idem.Decision[Answer]{retry(nil)}, Redeliver, 3},
		"NoVerdict":  {[]idem.Decision[Answer]{{}}, Redeliver, 3},
		"NewVerdict": {[]idem.Decision[Answer]{{Verdict: 99}}, Redeliver, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{decisions: c.decisions}
				if got := w.service().Handle(t.Context(), validMessage()); got != c.want {
					t.Errorf("disposition %d, want %d", got, c.want)
				}
				results := 0
				if c.want == Acknowledge {
					results = 1
				}
				if len(w.log) != c.tries+results || len(w.results) != results {
					t.Errorf("effects: %v, want %d tries", w.log, c.tries)
				}
				e := w.events[0]
				if e.Retries != c.tries-1 || (e.Err != nil) != (c.want == Redeliver) ||
					(e.Outcome == order.Retry) != (c.want == Redeliver) {
					t.Errorf("event %+v", e)
				}
			})
		})
	}
}

// An outage of the database or of the result topic is waited out in place.
func TestService_HandleHolds(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("down: %w", idem.ErrUnavailable)
	for name, w := range map[string]*world{
		"Database": {decisions: []idem.Decision[Answer]{retry(down), retry(down), retry(down),
			retry(down), retry(down), decided(Answer{Outcome: order.Paid})}},
		"ResultTopic": {decisions: []idem.Decision[Answer]{decided(Answer{Outcome: order.Paid})},
			sendErrs: []error{down, down, down, down, down}},
		"Quarantine": {decisions: []idem.Decision[Answer]{{Verdict: idem.Conflict,
			Record: Record{Key: "S", Answer: Answer{Outcome: order.Paid}}}},
			putErrs: []error{down, down, down, down, down}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := w.service()
				start := time.Now()
				if got := s.Handle(t.Context(), validMessage()); got != Acknowledge {
					t.Errorf("disposition %d, want Acknowledge", got)
				}
				if len(w.results) != 1 || w.events[0].Retries != 0 {
					t.Errorf("%d results, %d retries", len(w.results), w.events[0].Retries)
				}
				if took := time.Since(start); took == 0 {
					t.Errorf("took %s", took)
				}
				if s.database.Holding() || s.topic.Holding() {
					t.Error("still holding afterwards")
				}
			})
		})
	}
}

// An outage that outlasts the delivery's time gives the message back, in time and with the reason.
func TestService_HandleOutlasted(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("down: %w", idem.ErrUnavailable)
	for name, lastTry := range map[string]bool{"Message": false, "DeadLetter": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{decisions: []idem.Decision[Answer]{retry(down)}}
				s := w.service()
				m := validMessage()
				handle := s.Handle
				if m.Attempt = 99; lastTry {
					handle = s.HandleDeadLetter
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
				defer cancel()
				if got := handle(ctx, m); got != Redeliver {
					t.Errorf("disposition %d, want Redeliver", got)
				}
				if took := time.Since(start); took != 120*time.Second {
					t.Errorf("given back after %s, want 120 s", took)
				}
				e := w.events[0]
				if !errors.Is(e.Err, idem.ErrUnavailable) || e.Outcome != order.Retry ||
					len(w.quarantine) != 0 || len(w.results) != 0 {
					t.Errorf("event %+v, effects %v", e, w.log)
				}
			})
		})
	}
}

// What was decided and could not be told is not done: the delivery comes again and is told then.
func TestService_HandleGivesBackWhatItCannotTell(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	paid := decided(Answer{Outcome: order.Paid})
	conflict := idem.Decision[Answer]{Verdict: idem.Conflict, By: idem.ByStore,
		Record: Record{Key: "S0", Answer: Answer{Outcome: order.Paid}}}
	for name, c := range map[string]struct {
		w   *world
		log []string
	}{
		"Result": {&world{decisions: []idem.Decision[Answer]{paid}, sendErrs: []error{broken}},
			[]string{"decide S", "result paid: broken"}},
		"Quarantine": {&world{decisions: []idem.Decision[Answer]{conflict},
			putErrs: []error{broken}}, []string{"decide S", "quarantine conflict: broken"}},
	} {
		if got := c.w.service().Handle(t.Context(), validMessage()); got != Redeliver {
			t.Errorf("%s: disposition %d, want Redeliver", name, got)
		}
		if diff := cmp.Diff(c.log, c.w.log); diff != "" {
			t.Errorf("%s: effects:\n%s", name, diff)
		}
		if e := c.w.events[0]; e.Outcome != order.Retry || e.By != "" || e.Reason != "" ||
			!errors.Is(e.Err, broken) {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	w := &world{putErrs: []error{broken}}
	if got := w.service().Handle(t.Context(), Message{Body: []byte("{")}); got != Redeliver {
		t.Errorf("rejected and not in quarantine: disposition %d, want Redeliver", got)
	}
}

// The caller's context ends a hold.
func TestService_HandleCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{decisions: []idem.Decision[Answer]{
			retry(fmt.Errorf("down: %w", idem.ErrUnavailable))}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if got := w.service().Handle(ctx, validMessage()); got != Redeliver {
			t.Errorf("disposition %d, want Redeliver", got)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %s, want 1 s", took)
		}
	})
}

// What could not come again is not tried, or a failure would lose it.
func TestService_HandleDefect(t *testing.T) {
	t.Parallel()
	w := &world{}
	m := validMessage()
	m.Defect = "bad_property"
	if got := w.service().Handle(t.Context(), m); got != Acknowledge {
		t.Errorf("disposition %d, want Acknowledge", got)
	}
	if len(w.quarantine) != 1 || w.quarantine[0].Reason != "bad_property" ||
		w.quarantine[0].Kind != KindRejected || len(w.results) != 0 {
		t.Errorf("in quarantine: %+v, results %v", w.quarantine, w.results)
	}
}

// A dead letter is tried like any other message. Only when its last delivery stays undecided,
// and the database is not to blame, does it go to the quarantine.
func TestService_HandleDeadLetter(t *testing.T) {
	t.Parallel()
	failure := errors.New("this one only")
	for name, c := range map[string]struct {
		decision idem.Decision[Answer]
		attempt  int
		want     Disposition
		aside    int
	}{
		// Delivered once, and again 16 times, as an order; then as a dead letter.
		"Paid":      {decided(Answer{Outcome: order.Paid}), 20, Acknowledge, 0},
		"FirstTry":  {retry(failure), 18, Redeliver, 0},
		"SecondTry": {retry(failure), 19, Redeliver, 0},
		"LastTry":   {retry(failure), 20, Acknowledge, 1},
		"Beyond":    {retry(failure), 29, Acknowledge, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &world{decisions: []idem.Decision[Answer]{c.decision}}
				m := validMessage()
				m.Attempt = c.attempt
				if got := w.service().HandleDeadLetter(t.Context(), m); got != c.want {
					t.Errorf("disposition %d, want %d", got, c.want)
				}
				if len(w.quarantine) != c.aside {
					t.Fatalf("%d in quarantine, want %d", len(w.quarantine), c.aside)
				}
				if c.aside == 0 {
					return
				}
				q := w.quarantine[0]
				if q.Kind != KindUndecided || q.Reason != ReasonUndecided || q.Serial != "S" ||
					!strings.Contains(q.Detail, failure.Error()) || len(w.results) != 0 {
					t.Errorf("in quarantine: %+v, results %v", q, w.results)
				}
			})
		})
	}
}
