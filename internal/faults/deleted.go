package faults

import (
	"context"

	"example.com/payment/internal/devstack"
)

// Deleted is what became of a message that the broker took and deleted, by its own rules, before
// anybody had read it. Nobody can decide it any more.
const Deleted Status = "deleted"

// Deleted writes down which messages the broker has deleted below the group's sight: those that
// are older than what it still has and have no outcome. From then on they are not expected.
func (r *Rig) Deleted(ctx context.Context) error {
	w, err := r.look(ctx)
	if err != nil {
		return err
	}
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return err
	}
	first := map[int]int64{}
	for _, q := range queues {
		first[q.Queue] = q.Min
	}
	r.Record.mu.Lock()
	defer r.Record.mu.Unlock()
	for i, m := range r.Record.messages {
		decided, quarantined := w.outcome(m)
		if m.Status == Acknowledged && !decided && !quarantined && m.Offset < first[m.Queue] {
			r.Record.messages[i].Status = Deleted
		}
	}
	return nil
}
