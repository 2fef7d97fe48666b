package idemtest

import (
	"sync"
	"testing"

	"example.com/payment/internal/idem"
)

// Count is how the deliveries of one key were answered.
type Count struct {
	Decided, Duplicate, Conflict, Retry int
}

// Tally keeps the decisions of many deliveries, to check that they agree with one another. The
// zero value is ready, and safe for concurrent use.
type Tally[R any] struct {
	mu   sync.Mutex
	kept map[idem.Key][]delivery[R]
}

type delivery[R any] struct {
	content  int
	decision idem.Decision[R]
}

// Add keeps the decision that one delivery of a key with some content got.
func (y *Tally[R]) Add(key idem.Key, content int, d idem.Decision[R]) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.kept == nil {
		y.kept = make(map[idem.Key][]delivery[R])
	}
	y.kept[key] = append(y.kept[key], delivery[R]{content, d})
}

// Of counts the decisions of a key.
func (y *Tally[R]) Of(key idem.Key) Count {
	y.mu.Lock()
	defer y.mu.Unlock()
	var c Count
	for _, d := range y.kept[key] {
		switch d.decision.Verdict {
		case idem.Decided:
			c.Decided++
		case idem.Duplicate:
			c.Duplicate++
		case idem.Conflict:
			c.Conflict++
		case idem.Retry:
			c.Retry++
		}
	}
	return c
}

// Check fails the test unless, under each key, at most one delivery decided, all that were
// answered with Decided or Duplicate have one content and got one record, every Conflict has
// another content and names that record, and every Retry says why.
func (y *Tally[R]) Check(t *testing.T, equal func(a, b R) bool) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	for key, deliveries := range y.kept {
		var first *delivery[R]
		for i, d := range deliveries {
			accepted := d.decision.Verdict == idem.Decided || d.decision.Verdict == idem.Duplicate
			if accepted && (first == nil || d.decision.Verdict == idem.Decided) {
				if first != nil && first.decision.Verdict == idem.Decided {
					t.Errorf("key %q was decided twice", key)
				}
				first = &deliveries[i]
			}
		}
		for _, d := range deliveries {
			checkDelivery(t, key, d, first, equal)
		}
	}
}

func checkDelivery[R any](
	t *testing.T, key idem.Key, d delivery[R], first *delivery[R], equal func(a, b R) bool,
) {
	t.Helper()
	switch d.decision.Verdict {
	case idem.Retry:
		if d.decision.Err == nil {
			t.Errorf("key %q: a retry that does not say why", key)
		}
		return
	case idem.Decided, idem.Duplicate, idem.Conflict:
	default:
		t.Errorf("key %q: no verdict: %+v", key, d.decision)
		return
	}
	if first == nil {
		return
	}
	expectRecord(t, d.decision.Record, first.decision.Record, equal)
	if same := d.content == first.content; same == (d.decision.Verdict == idem.Conflict) {
		t.Errorf("key %q, content %d: verdict %d, but content %d came first",
			key, d.content, d.decision.Verdict, first.content)
	}
}
