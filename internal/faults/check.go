package faults

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
)

// Violation is an invariant that does not hold.
type Violation struct {
	Invariant string `json:"invariant"`
	Detail    string `json:"detail"`
}

// maxExamples bounds what is said of one invariant; a lost backlog would fill a screen.
const maxExamples = 3

// findings collects violations, a few examples of each.
type findings struct {
	list   []Violation
	counts map[string]int
}

func (f *findings) add(invariant, format string, args ...any) {
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[invariant]++
	if f.counts[invariant] <= maxExamples {
		f.list = append(f.list, Violation{invariant, fmt.Sprintf(format, args...)})
	}
}

// payment is a row of payments, as a check reads it.
type payment struct {
	order  order.Order
	status string
	reason order.Reason
	// whole is every column, to see whether a row has changed.
	whole string
}

// world is what the database and the broker hold at one moment.
type world struct {
	payments   map[order.Serial]payment
	quarantine map[content]string // kind by content
	committed  map[int]int64      // by queue of the order topic
}

// look reads the world. The committed offsets are read first: what is below them must have left
// its trace in what is read after.
func (r *Rig) look(ctx context.Context) (w world, err error) {
	w.committed = map[int]int64{}
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return w, err
	}
	for _, q := range queues {
		w.committed[q.Queue] = q.Committed
	}
	if w.payments, err = readPayments(ctx, r.SQL); err != nil {
		return w, err
	}
	w.quarantine, err = readQuarantine(ctx, r.SQL)
	return w, err
}

func readPayments(ctx context.Context, db *sql.DB) (map[order.Serial]payment, error) {
	rows, err := db.QueryContext(ctx, `SELECT serial_no, order_id, payer, payee, amount_minor,
  currency, status, reason, CONCAT_WS('|', paid_order_id, first_serial, HEX(fingerprint),
  fingerprint_version, created_at) FROM payments`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[order.Serial]payment{}
	for rows.Next() {
		var p payment
		o := &p.order
		if err := rows.Scan(&o.Serial, &o.ID, &o.Payer, &o.Payee, &o.Amount.Minor,
			&o.Amount.Currency, &p.status, &p.reason, &p.whole); err != nil {
			return nil, err
		}
		p.whole = fmt.Sprint(p.order, p.status, p.reason, p.whole)
		found[o.Serial] = p
	}
	return found, rows.Err()
}

func readQuarantine(ctx context.Context, db *sql.DB) (map[content]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT message_key, SHA2(body, 256), kind FROM quarantine")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[content]string{}
	for rows.Next() {
		var c content
		var digest, kind string
		if err := rows.Scan(&c.key, &digest, &kind); err != nil {
			return nil, err
		}
		if n, err := hex.Decode(c.body[:], []byte(digest)); err != nil || n != sha256.Size {
			return nil, fmt.Errorf("quarantine: digest %q: %w", digest, err)
		}
		found[c] = kind
	}
	return found, rows.Err()
}

// outcome says what became of a message: a payment with its content, or a row in quarantine.
func (w world) outcome(m Message) (decided, quarantined bool) {
	_, quarantined = w.quarantine[m.content()]
	if m.Valid() {
		p, found := w.payments[m.Order.Serial]
		decided = found && p.order == *m.Order
	}
	return decided, quarantined
}

// lost returns the acknowledged messages that have no outcome (yet).
func (w world) lost(messages []Message) []Message {
	var lost []Message
	for _, m := range messages {
		decided, quarantined := w.outcome(m)
		if m.Status == Acknowledged && !decided && !quarantined {
			lost = append(lost, m)
		}
	}
	return lost
}

// checkLost is I4, and I9 for what is below the committed offset without a trace.
func (w world) checkLost(f *findings, messages []Message) {
	for _, m := range w.lost(messages) {
		f.add("I4", "message %s (key %q) was acknowledged to its sender and has no outcome",
			m.ID, m.Key)
		if m.Offset < w.committed[m.Queue] {
			f.add("I9", "message %s, queue %d offset %d, is below the committed offset %d without "+
				"an outcome", m.ID, m.Queue, m.Offset, w.committed[m.Queue])
		}
	}
}

// checkInvented is I6: each row was asked for, with this content.
func (w world) checkInvented(f *findings, messages []Message) {
	asked := map[order.Order]bool{}
	for _, m := range messages {
		if m.Valid() && m.Status != Failed {
			asked[*m.Order] = true
		}
	}
	for serial, p := range w.payments {
		if !asked[p.order] {
			f.add("I6", "serial %s: a row that nobody asked for: %+v", serial, p.order)
		}
	}
}

// checkConflicts is I7: of a serial's contents one is decided, and every other is in quarantine
// as a conflict.
func (w world) checkConflicts(f *findings, messages []Message) {
	contents := map[order.Serial]map[order.Order]bool{}
	for _, m := range messages {
		if !m.Valid() {
			continue
		}
		if contents[m.Order.Serial] == nil {
			contents[m.Order.Serial] = map[order.Order]bool{}
		}
		contents[m.Order.Serial][*m.Order] = true
	}
	for _, m := range messages {
		if m.Status != Acknowledged || !m.Valid() || len(contents[m.Order.Serial]) < 2 {
			continue
		}
		decided, quarantined := w.outcome(m)
		kind := w.quarantine[m.content()]
		switch {
		case decided == quarantined:
			f.add("I7", "serial %s, message %s: decided %t and in quarantine %t",
				m.Order.Serial, m.ID, decided, quarantined)
		case quarantined && kind != "conflict":
			f.add("I7", "serial %s, message %s: in quarantine as %s", m.Order.Serial, m.ID, kind)
		}
	}
}

// checkChanged is I10: what is decided stays as it is.
func (r *Rig) checkChanged(f *findings, w world) {
	for serial, before := range r.seen {
		if now, found := w.payments[order.Serial(serial)]; !found || now.whole != before {
			f.add("I10", "serial %s was %q and is %q", serial, before, now.whole)
		}
	}
	r.seen = make(map[string]string, len(w.payments))
	for serial, p := range w.payments {
		r.seen[string(serial)] = p.whole
	}
}

// checkAnswers holds the answers against the rows: everybody who asked was told, and told the
// truth. It is no invariant of the ledger, but what a caller lives by.
func (r *Rig) checkAnswers(f *findings, w world, messages []Message) {
	for _, m := range messages {
		if m.Status != Acknowledged || !m.Valid() {
			continue
		}
		answers := r.Answers.Answers(m.ID)
		if len(answers) == 0 {
			f.add("A1", "message %s (serial %s) was never answered", m.ID, m.Order.Serial)
		}
		p := w.payments[m.Order.Serial]
		for _, a := range answers {
			if told := told(a); a.Serial != m.Order.Serial ||
				(p.order == *m.Order) != (a.Outcome != order.Conflict) ||
				(a.Outcome != order.Conflict && p.status != "duplicate" && told != p.status) {
				f.add("A2", "serial %s was told %s (%s), its row is %s with %+v",
					m.Order.Serial, a.Outcome, told, p.status, p.order)
			}
		}
	}
}

// told is what an answer says about the payment itself.
func told(a order.Result) string {
	if a.Duplicate && a.First != nil {
		return a.First.Outcome.String()
	}
	return a.Outcome.String()
}

// checkLogs is I13: no body and no secret in any log, and nothing of the race detector's, if there
// is one.
func (r *Rig) checkLogs(f *findings) error {
	env := r.Stack.Variables()
	for _, c := range r.consumers {
		text, err := os.ReadFile(c.Log)
		if err != nil {
			return err
		}
		log := string(text)
		if races := OwnRaces(log); len(races) > c.races {
			// They are what this case has found: the log stays for the cases that follow.
			f.add("race", "%s: %.2000s", c.Log, races[c.races])
			c.races = len(races)
		}
		for what, secret := range map[string]string{
			"a message's body":        marker,
			"the database's password": env["PAYMENT_MYSQL_PASSWORD"],
			"the cache's password":    env["PAYMENT_REDIS_PASSWORD"],
			"the cache's key":         strings.TrimPrefix(env["PAYMENT_CACHE_KEYS"], "k1:"),
		} {
			if at := strings.Index(log, secret); secret != "" && at >= 0 {
				begin := strings.LastIndexByte(log[:at], '\n') + 1
				f.add("I13", "%s holds %s: %.200q", c.Log, what, log[begin:])
			}
		}
	}
	return nil
}

// module is the path that all our packages begin with.
const module = "example.com/payment/"

// OwnRaces returns the reports of the race detector in a log in which our code reads or writes. The
// broker's client counts without a lock how often it has slowed down, and looks without one whether
// it has anything that is too old: nothing depends on either, and nobody here can change it. Who
// started a goroutine says nothing of who is to blame.
func OwnRaces(log string) (races []string) {
	for _, report := range strings.Split(log, "WARNING: DATA RACE")[1:] {
		report, _, _ = strings.Cut(report, "==================")
		accesses, _, _ := strings.Cut(report, "\n\nGoroutine ")
		if strings.Contains(accesses, module) {
			races = append(races, strings.Join(strings.Fields(report), " "))
		}
	}
	return races
}

// raceReport is what the race detector writes, which may be at it, or have been cut short.
var raceReport = regexp.MustCompile(
	`(?s)={18}\n(WARNING: DATA RACE\n.*?(={18}\n|\z)|[^\n]*\z)|Found \d+ data race\(s\)\n`)

// WithoutRaces returns a log without the reports of the race detector: what the program wrote.
func WithoutRaces(log string) string { return raceReport.ReplaceAllString(log, "") }

// unwatched is how long nobody may have looked at InnoDB's transactions before the server, at the
// next look, shows others than it did: 100 ms. Who looks more often sees the same for ever.
const unwatched = 150 * time.Millisecond

// Transactions counts the transactions of others for which a condition on a row of
// information_schema.innodb_trx holds. It waits first, so that it does not see what was, and for
// a random time: two that look in step, one in the pause of the other, would see the same for ever.
func (r *Rig) Transactions(ctx context.Context, condition string) (n int, err error) {
	devstack.Pause(ctx, unwatched+rand.N(unwatched))
	err = r.SQL.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.innodb_trx
WHERE trx_mysql_thread_id <> CONNECTION_ID() AND `+condition).Scan(&n)
	return n, err
}

// transactionsEnd is how long a transaction that nobody finishes may stay open: the server ends
// it with its session.
const transactionsEnd = 40 * time.Second

// checkTransactions is the part of I11 that the database knows: no transaction is left open.
func (r *Rig) checkTransactions(ctx context.Context, f *findings) error {
	open := -1
	err := Until(ctx, "transactions to end", transactionsEnd, func() (over bool) {
		var err error
		open, err = r.Transactions(ctx, "trx_rows_locked > 0")
		return err == nil && open == 0
	})
	if err != nil && ctx.Err() == nil {
		f.add("I11", "%d transactions hold locks %v after the last fault", open, transactionsEnd)
		return nil
	}
	return err
}

// Check looks at everything that must hold once the backlog is drained, I1 to I11 and I13, and
// returns what does not. An error means that it could not look.
func (r *Rig) Check(ctx context.Context) ([]Violation, error) {
	messages := r.Record.All()
	w, err := r.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	var f findings
	w.checkLost(&f, messages)
	w.checkInvented(&f, messages)
	w.checkConflicts(&f, messages)
	r.checkChanged(&f, w)
	r.checkAnswers(&f, w, messages)
	w.checkReasons(&f)
	transactions := r.checkTransactions(ctx, &f)
	logs := r.checkLogs(&f)
	audited, err := r.audit(ctx)
	sampled, _ := r.sampler.take()
	return append(append(f.list, audited...), sampled...), errors.Join(err, transactions, logs)
}
