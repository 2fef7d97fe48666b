package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// soon bounds the wait for what happens in milliseconds on a machine that has nothing else to do.
const soon = 2 * time.Minute

func hostile() []faults.Case {
	one := func(id, title string, more ...func(context.Context, *trial) error) faults.Case {
		return faults.Case{
			ID: id, Title: title, Quick: true, Faults: []string{"hostile message"},
			Run: func(ctx context.Context, r *faults.Rig) error {
				return tryAll(ctx, r, id, more)
			},
		}
	}
	return []faults.Case{
		one("F73", "bodies: empty, one byte, over the limit, compressed bombs", bodies),
		one("F74", "bodies that are not UTF-8 or not one JSON object"),
		one("F75", "fields that come twice, in capitals, as null, or not at all"),
		one("F76", "amounts that are none, and a sum that would overflow", declined(order.BalanceLimit)),
		one("F77", "currencies that are none, or not the account's", declined(order.CurrencyMismatch)),
		one("F78", "serial numbers that are none, or differ only in case", caseVariants),
		one("F79", "SQL in every field", statements),
		one("F80", "keys with line ends, tags, stars and other things", keys),
		one("F81", "lines of a log in every field", lines),
		one("F82", "payer and payee the same, unknown, closed or poor", declined(order.SameAccount,
			order.UnknownAccount, order.ClosedAccount, order.InsufficientFunds)),
	}
}

// trial sends hostile messages and knows what must become of each.
type trial struct {
	*faults.Rig
	consumer *faults.Consumer
	rejected []expectation
	answered []expectation
}

// expectation is a message and what must be said of it: why it is rejected or declined, or nothing
// if it is to be paid.
type expectation struct {
	message faults.Message
	what    string
	reason  string
}

// tryAll sends the hostile messages of a case, each with a good order beside it, and then whatever
// else belongs to the case.
func tryAll(
	ctx context.Context, r *faults.Rig, id string, more []func(context.Context, *trial) error,
) (err error) {
	t := &trial{Rig: r}
	if t.consumer, err = r.Start(ctx); err != nil {
		return err
	}
	for _, h := range faults.Hostile() {
		if h.Case != id {
			continue
		}
		o := r.Sender.Order()
		t.reject(r.Sender.Raw(ctx, h.Key(o), h.Body(o)), h.What, h.Reason)
		t.pay(ctx, r.Sender.Order(), "a good order beside "+h.What)
	}
	for _, do := range more {
		if err := do(ctx, t); err != nil {
			return err
		}
	}
	return t.settle(ctx)
}

func (t *trial) reject(m faults.Message, what string, reason order.Code) {
	t.rejected = append(t.rejected, expectation{m, what, string(reason)})
}

func (t *trial) pay(ctx context.Context, o order.Order, what string) {
	t.answered = append(t.answered, expectation{t.Sender.Send(ctx, o), what, ""})
}

// settle waits until every message has what it must have.
func (t *trial) settle(ctx context.Context) error {
	for _, e := range t.rejected {
		if err := t.awaitRejected(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.what, err)
		}
		t.Journal.Fired("hostile message", e.what)
	}
	for _, e := range t.answered {
		if err := t.awaitAnswer(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.what, err)
		}
		if e.reason != "" {
			t.Journal.Fired("hostile message", e.what)
		}
	}
	if !t.consumer.Alive() {
		return errors.New("the consumer ended")
	}
	return nil
}

func (t *trial) awaitRejected(ctx context.Context, e expectation) error {
	if e.message.Status != faults.Acknowledged {
		return fmt.Errorf("the broker did not take it: %s", e.message.Status)
	}
	kept, err := await(ctx, "the quarantine", func() (faults.Kept, bool, error) {
		return t.Kept(ctx, e.message.ID)
	})
	if err == nil && (kept.Kind != "rejected" || kept.Reason != e.reason) {
		err = fmt.Errorf("in quarantine as %s (%s), want rejected (%s)",
			kept.Kind, kept.Reason, e.reason)
	}
	return err
}

func (t *trial) awaitAnswer(ctx context.Context, e expectation) error {
	got, err := firstAnswer(ctx, t.Rig, e.message)
	want := order.Paid
	if e.reason != "" {
		want = order.Declined
	}
	if err == nil && (got.Outcome != want || string(got.Reason) != e.reason) {
		err = fmt.Errorf("answered %s (%s), want %s (%s)", got.Outcome, got.Reason, want, e.reason)
	}
	return err
}

// await waits until something can be had, or its search fails.
func await[T any](
	ctx context.Context, what string, look func() (T, bool, error),
) (found T, err error) {
	var failed error
	err = faults.Until(ctx, what, soon, func() (done bool) {
		found, done, failed = look()
		return done || failed != nil
	})
	if failed != nil {
		err = failed
	}
	return found, err
}

// declined sends the valid orders that must be declined for these reasons.
func declined(reasons ...order.Reason) func(context.Context, *trial) error {
	return func(ctx context.Context, t *trial) error {
		orders := t.Sender.Refused()
		for _, reason := range reasons {
			m := t.Sender.Send(ctx, orders[reason])
			t.answered = append(t.answered, expectation{m, string(reason), string(reason)})
		}
		return nil
	}
}

// caseVariants: serial numbers, order IDs and accounts that differ only in case are different ones.
func caseVariants(ctx context.Context, t *trial) error {
	first, serial, id, both, account := t.Sender.Order(), t.Sender.Order(), t.Sender.Order(),
		t.Sender.Order(), t.Sender.Order()
	serial.Serial = order.Serial(strings.ToLower(string(first.Serial)))
	id.ID = order.ID(strings.ToLower(string(first.ID)))
	both.Serial = order.Serial("Pay" + strings.TrimPrefix(string(first.Serial), "PAY"))
	both.ID = order.ID("Order" + strings.TrimPrefix(string(first.ID), "ORDER"))
	t.pay(ctx, first, "an order")
	t.pay(ctx, serial, "the same serial number in other case")
	t.pay(ctx, id, "the same order ID in other case")
	t.pay(ctx, both, "both in a third case")
	account.Payer = order.Account(strings.ToUpper(string(account.Payer)))
	m := t.Sender.Send(ctx, account)
	t.answered = append(t.answered,
		expectation{m, "an account in other case", string(order.UnknownAccount)})
	return nil
}

// statements: what no column takes from the message may say anything.
func statements(ctx context.Context, t *trial) error {
	o := t.Sender.Order()
	body := slices.Concat(faults.Body(o)[:len(faults.Body(o))-1],
		[]byte(`,"note":"'); DROP TABLE payments; -- \\\" %s ? \u0000"}`))
	m := t.Sender.Raw(ctx, string(o.ID), body)
	t.answered = append(t.answered, expectation{m, "SQL in a field that nobody reads", ""})
	return nil
}

// keys sends what the client library refuses to send.
func keys(ctx context.Context, t *trial) error {
	for _, key := range faults.HostileKeys(t.Sender.Order()) {
		o := t.Sender.Order()
		m, err := t.Wire(ctx, faults.Wire{Key: key, Body: faults.Body(o)})
		if err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		t.reject(m, fmt.Sprintf("key %.60q", key), order.CodeKey)
	}
	return foreignProperties(ctx, t)
}

// foreignProperties sends good orders with properties that are not the sender's to write, or too
// long to be repeated to anybody.
func foreignProperties(ctx context.Context, t *trial) error {
	stray, long := t.Sender.Order(), t.Sender.Order()
	m, err := t.Wire(ctx, faults.Wire{
		Key: string(stray.ID), Body: faults.Body(stray), RetryTopic: "SOME_OTHER_TOPIC",
	})
	if err != nil {
		return err
	}
	t.reject(m, "a message that says it began elsewhere", "foreign_retry_topic")
	m, err = t.Wire(ctx, faults.Wire{
		Key: string(long.ID), Body: faults.Body(long), ID: string(long.ID) + strings.Repeat("<", 12_000),
	})
	t.answered = append(t.answered, expectation{m, "an ID of 12,000 bytes", ""})
	return err
}

// lines forges log lines where the log does repeat a sender's word: in message IDs.
func lines(ctx context.Context, t *trial) error {
	good, bad := t.Sender.Order(), t.Sender.Order()
	m, err := t.Wire(ctx, faults.Wire{
		Key: string(good.ID), ID: string(good.ID) + faults.ForgedLine, Body: faults.Body(good),
	})
	if err != nil {
		return err
	}
	t.answered = append(t.answered, expectation{m, "a line in the ID of a good message", ""})
	m, err = t.Wire(ctx, faults.Wire{
		Key: string(bad.ID) + faults.ForgedLine, ID: string(bad.ID) + faults.ForgedLine,
		Body: []byte(faults.ForgedLine),
	})
	if err != nil {
		return err
	}
	t.reject(m, "a line as ID, key and body", order.CodeMissing)
	if err := t.settle(ctx); err != nil {
		return err
	}
	// Without it nothing was tried.
	_, err = await(ctx, "the log to show the message's ID", func() (any, bool, error) {
		repeated, err := forged(t.consumer.Log)
		return nil, repeated, err
	})
	return err
}

// forged looks for lines of a log that the program did not write, and says whether the program has
// repeated what a sender wrote to that end. The program may be writing.
func forged(path string) (repeated bool, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(faults.WithoutRaces(string(text))) {
		if !strings.HasSuffix(line, "\n") {
			break // the rest of it is on its way
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return false, fmt.Errorf("a line of the log is no JSON: %.100q", line)
		}
		if fields["msg"] == faults.Forged {
			return false, fmt.Errorf("a forged line of the log: %.100q", line)
		}
		repeated = repeated || strings.Contains(line, faults.Forged)
	}
	return repeated, nil
}
