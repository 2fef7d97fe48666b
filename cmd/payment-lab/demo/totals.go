package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"example.com/payment/internal/order"
)

// tally says what became of some messages.
type tally struct {
	messages, deliveries, further int
	outcomes                      map[string]int // of first answers, by outcome
	seenBy                        map[string]int // of further deliveries, by who knew
}

func (s *show) tally(messages []sent) tally {
	t := tally{messages: len(messages), outcomes: map[string]int{}, seenBy: map[string]int{}}
	for _, m := range messages {
		for n, r := range s.audience.Answers(m.MessageID) {
			t.deliveries++
			if n == 0 {
				t.outcomes[r.Outcome.String()]++
				continue
			}
			t.further++
			t.seenBy[r.DecidedBy]++
		}
	}
	return t
}

func (t tally) String() string {
	text := fmt.Sprintf("%d messages, %s", t.messages, words(t.outcomes))
	if t.further > 0 {
		text += fmt.Sprintf("; %d further deliveries, seen by %s", t.further, words(t.seenBy))
	}
	return text
}

func words(counts map[string]int) string {
	var list []string
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", strings.ReplaceAll(word, "_", " "), counts[word]))
	}
	return strings.Join(list, ", ")
}

// quarantined is a line of payment-consumer quarantine list.
type quarantined struct {
	Reason     string `json:"reason"`
	MessageID  string `json:"message_id"`
	Deliveries int    `json:"deliveries"`
}

func (s *show) rejected(ctx context.Context) ([]quarantined, error) {
	out, err := s.output(ctx, "payment-consumer",
		"quarantine", "list", "--kind", "rejected", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list []quarantined
	return list, json.Unmarshal(out, &list)
}

// totals are the numbers of the last line. Paid and declined are rows of the database; every
// message has one outcome, and what a message's further deliveries were answered is counted in
// seen.
type totals struct {
	orders, deliveries                            int
	paid, declined, duplicate, conflict, rejected int
	// outcomes has the one outcome of each message, by its unique ID.
	outcomes map[string]order.Outcome
	// seen counts the answers by outcome and by who decided.
	seen map[[2]string]int
}

// count reads everything that was left behind: the results, the rows, the quarantine.
func (s *show) count(ctx context.Context) (totals, error) {
	if err := s.allResults(ctx); err != nil {
		return totals{}, err
	}
	rows, err := s.rows(ctx)
	if err != nil {
		return totals{}, err
	}
	rejected, err := s.rejected(ctx)
	if err != nil {
		return totals{}, err
	}
	t := totals{outcomes: map[string]order.Outcome{}, seen: map[[2]string]int{}}
	orders, deciders := map[order.ID]bool{}, map[order.Serial]string{}
	deliveries := s.audience.Deliveries()
	for _, r := range deliveries {
		t.seen[[2]string{r.Outcome.String(), r.DecidedBy}]++
		orders[r.OrderID] = true
		// The first answer counts: it is the decision, or already a duplicate of another message.
		if t.outcomes[r.MessageID] == 0 || r.Outcome == order.Paid || r.Outcome == order.Declined {
			t.outcomes[r.MessageID] = r.Outcome
		}
		if r.Outcome == order.Paid || r.Outcome == order.Declined {
			if other, decided := deciders[r.Serial]; decided {
				return t, fmt.Errorf("serial %s was decided for message %s and for message %s",
					r.Serial, other, r.MessageID)
			}
			deciders[r.Serial] = r.MessageID
		}
	}
	t.deliveries = len(deliveries)
	for _, q := range rejected {
		t.outcomes[q.MessageID] = order.Rejected
		t.deliveries += q.Deliveries
		t.seen[[2]string{order.Rejected.String(), "decoding"}] += q.Deliveries
	}
	t.orders = len(orders)
	return t, t.tie(rows, deciders, deliveries)
}

// tie gives each decided row to the message that decided it. A consumer killed between its commit
// and its answer leaves a row whose only answers are duplicates: the message that was answered
// first is then the one that was paid.
func (t *totals) tie(
	rows map[order.Serial]order.Outcome, deciders map[order.Serial]string, answers []order.Result,
) error {
	for serial, status := range rows {
		if status == order.Duplicate {
			continue
		}
		if deciders[serial] == "" {
			first := slices.IndexFunc(answers, func(r order.Result) bool {
				return r.Serial == serial && r.Outcome == order.Duplicate
			})
			if first < 0 {
				return fmt.Errorf("serial %s is %s in the database, and nobody was told", serial, status)
			}
			deciders[serial] = answers[first].MessageID
		}
		t.outcomes[deciders[serial]] = status
	}
	for serial, message := range deciders {
		if status := rows[serial]; status != t.outcomes[message] {
			return fmt.Errorf("message %s was told %s, the row of serial %s says %s",
				message, t.outcomes[message], serial, status)
		}
	}
	for _, status := range rows {
		switch status {
		case order.Paid:
			t.paid++
		case order.Declined:
			t.declined++
		case order.Duplicate, order.Conflict, order.Rejected, order.Retry:
		}
	}
	for _, outcome := range t.outcomes {
		switch outcome {
		case order.Duplicate:
			t.duplicate++
		case order.Conflict:
			t.conflict++
		case order.Rejected:
			t.rejected++
		case order.Paid, order.Declined, order.Retry:
		}
	}
	return nil
}

// rows reads the payments table: serial to status.
func (s *show) rows(ctx context.Context) (map[order.Serial]order.Outcome, error) {
	text, err := s.Stack.Query(ctx, "SELECT serial_no, status FROM payments")
	if err != nil {
		return nil, err
	}
	rows := map[order.Serial]order.Outcome{}
	for line := range strings.Lines(text) {
		serial, status, _ := strings.Cut(strings.TrimSpace(line), "\t")
		var outcome order.Outcome
		if err := outcome.UnmarshalText([]byte(status)); err != nil {
			return nil, fmt.Errorf("row %q: %w", line, err)
		}
		rows[order.Serial(serial)] = outcome
	}
	return rows, nil
}

// allResults waits until the audience has read the result topic to its end.
func (s *show) allResults(ctx context.Context) error {
	return until(ctx, "all results to be read", func() bool {
		return s.audience.CaughtUp(ctx) == nil
	})
}

// check holds the totals against what the producers were told.
func (t totals) check(messages map[string]sent) error {
	var problems []error
	for id := range messages {
		if t.outcomes[id] == 0 {
			problems = append(problems, fmt.Errorf("message %s was acknowledged and has no outcome", id))
		}
	}
	if sum := t.paid + t.declined + t.duplicate + t.conflict + t.rejected; sum != len(messages) {
		problems = append(problems, fmt.Errorf("%d outcomes for %d messages", sum, len(messages)))
	}
	if t.deliveries < len(messages) {
		problems = append(problems,
			fmt.Errorf("%d deliveries of %d messages", t.deliveries, len(messages)))
	}
	return errors.Join(problems...)
}

func (t totals) String() string {
	return fmt.Sprintf(
		"demo: orders=%d messages=%d deliveries=%d paid=%d declined=%d duplicate=%d "+
			"conflict=%d rejected=%d", t.orders, len(t.outcomes), t.deliveries,
		t.paid, t.declined, t.duplicate, t.conflict, t.rejected)
}

// table prints who gave which answer how often.
func (s *show) table(t totals) {
	keys := slices.SortedFunc(maps.Keys(t.seen), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	s.printf("\n")
	w := tabwriter.NewWriter(s.Out, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "    ANSWER\tDECIDED BY\tDELIVERIES")
	for _, key := range keys {
		_, _ = fmt.Fprintf(w, "    %s\t%s\t%d\n",
			key[0], strings.ReplaceAll(key[1], "_", " "), t.seen[key])
	}
	_ = w.Flush()
}

// audit runs payment-consumer audit and shows what it says.
func (s *show) audit(ctx context.Context) error {
	out, err := s.output(ctx, "payment-consumer", "audit")
	for line := range strings.Lines(string(out)) {
		s.printf("    %s", line)
	}
	return err
}
