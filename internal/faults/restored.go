package faults

import (
	"context"
	"errors"

	"example.com/payment/internal/order"
)

// RolledBack is what became of a message whose outcome went with the database, when that was
// restored to an earlier copy. The broker has been told that the message is done, so nothing brings
// it back but its sender.
const RolledBack Status = "rolled back"

// Restore takes the database back to its last backup and calls replace, which is to see to it that
// the cache is not believed any more. The consumers must have ended before, and may be started
// again after it: in between the cache does vouch for payments that are not there, and the sampler
// does not look. It returns the messages whose outcome is lost, which are not expected any more.
func (r *Rig) Restore(ctx context.Context, replace func() error) (lost []Message, err error) {
	if len(r.Alive()) > 0 {
		return nil, errors.New("a database is not restored under running consumers")
	}
	r.sampler.look.Lock()
	defer r.sampler.look.Unlock()
	if err := r.Stack.Restore(ctx); err != nil {
		return nil, err
	}
	if lost, err = r.rollBack(ctx); err != nil {
		return nil, err
	}
	return lost, replace()
}

// rollBack writes down what a restore has taken: messages that had an outcome, and rows that were
// seen. What is still there is held to what it was, as ever.
func (r *Rig) rollBack(ctx context.Context) ([]Message, error) {
	w, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	for serial := range r.seen {
		if _, found := w.payments[order.Serial(serial)]; !found {
			delete(r.seen, serial)
		}
	}
	var lost []Message
	r.Record.mu.Lock()
	defer r.Record.mu.Unlock()
	for i, m := range r.Record.messages {
		decided, quarantined := w.outcome(m)
		if m.Status == Acknowledged && !decided && !quarantined {
			r.Record.messages[i].Status = RolledBack
			lost = append(lost, m)
		}
	}
	return lost, nil
}
