package sim

import (
	"errors"
	"fmt"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// World is what all nodes share, and the model of what they may be told of it.
type World[T any, R comparable] struct {
	Cache *idemtest.Cache[R]
	Store *idemtest.Store[T, R]
	// Locks, if set, names what a transaction locks beside the keys of its requests.
	Locks func(payload T) []string
	// Rival, if set, returns the record under another key that stands in the way of a payload.
	Rival func(payload T) (idem.Record[R], bool)

	told map[idem.Key]int   // deliveries that were told Decided
	owed map[idem.Key]*Node // who must tell that, because it knows
}

// heard notes that a node knows that its transaction has decided: it must say so, once.
func (w *World[T, R]) heard(n *Node, answers []idem.Answer[R]) {
	if w.owed == nil {
		w.owed = make(map[idem.Key]*Node)
	}
	for _, a := range answers {
		if a.Verdict == idem.Decided {
			w.owed[a.Record.Key] = n
		}
	}
}

// judge holds a decision against the store, which knows the truth at any moment: what was decided
// never changes. A Retry needs an excuse.
func (w *World[T, R]) judge(
	delivery *Delivery, req idem.Request[T], d idem.Decision[R], excused bool,
) error {
	committed, found := w.Store.Records()[req.Key]
	wrong := func(problem string) error {
		return fmt.Errorf("delivery %d, key %q: %s: told %+v, the store has %+v",
			delivery.ID, req.Key, problem, d, committed)
	}
	switch d.Verdict {
	case idem.Decided, idem.Duplicate:
		switch {
		case !found || d.Record != committed:
			return wrong("an answer that is not stored")
		case !same(req, committed):
			return wrong("the answer to other content")
		}
		if d.Verdict == idem.Decided {
			return w.first(delivery, req.Key, wrong)
		}
	case idem.Conflict:
		rival, ok := idem.Record[R]{}, false
		if w.Rival != nil {
			rival, ok = w.Rival(req.Payload)
		}
		if d.By == idem.ByCache {
			return wrong("a conflict that only the cache vouches for")
		}
		stored := found && d.Record == committed || ok && d.Record == rival
		if !stored || same(req, d.Record) {
			return wrong("a conflict with nothing")
		}
	case idem.Retry:
		if d.Err == nil || !excused {
			return wrong("a retry for no reason")
		}
	default:
		return wrong("no verdict")
	}
	return nil
}

// first checks what only one delivery of a key may be told, and only by the node that knows.
func (w *World[T, R]) first(
	delivery *Delivery, key idem.Key, wrong func(string) error,
) error {
	if w.told == nil {
		w.told = make(map[idem.Key]int)
	}
	if w.told[key]++; w.told[key] > 1 {
		return wrong("decided twice")
	}
	if w.owed[key] != delivery.Node {
		return wrong("decided by a node that cannot know")
	}
	delete(w.owed, key)
	return nil
}

// Missed returns an error if a node knew that it had decided a key, and told nobody although it
// lived on and none of its deliveries was told to stop. It is for the end of a run.
func (w *World[T, R]) Missed() error {
	var err error
	for key, n := range w.owed {
		if !n.dead && !n.cancelled {
			err = errors.Join(err, fmt.Errorf("nobody was told that key %q was decided", key))
		}
	}
	return err
}

func same[T, R any](req idem.Request[T], record idem.Record[R]) bool {
	sum, known := req.Fingerprint(record.Fingerprint.Version)
	return known && sum == record.Fingerprint
}
