package sim

import (
	"context"
	"fmt"
	"slices"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// Cache lets a node reach the shared cache. It fails the run when the cache is given a record
// that the store does not hold at that moment.
type Cache[T any, R comparable] struct {
	Node  *Node
	World *World[T, R]
}

// Get implements idem.Cache.
func (c Cache[T, R]) Get(
	_ context.Context, keys []idem.Key,
) (map[idem.Key]idem.Record[R], error) {
	var found map[idem.Key]idem.Record[R]
	err := c.Node.wait(&Call{Step: idemtest.Get, Keys: keys, do: func() (err error) {
		found, err = c.World.Cache.Get(context.Background(), keys)
		return err
	}})
	return found, err // a partial answer may come with an error
}

// Put implements idem.Cache.
func (c Cache[T, R]) Put(_ context.Context, records []idem.Record[R]) error {
	keys := make([]idem.Key, len(records))
	for i, record := range records {
		keys[i] = record.Key
	}
	slices.Sort(keys)
	return c.Node.wait(&Call{Step: idemtest.Put, Keys: keys, do: func() error {
		committed := c.World.Store.Records()
		for _, record := range records {
			if committed[record.Key] != record {
				c.Node.sim.Fail(fmt.Errorf("the cache is ahead of the store: it is given %+v, "+
					"the store has %+v", record, committed[record.Key]))
			}
		}
		return c.World.Cache.Put(context.Background(), records)
	}})
}

// Store lets a node reach the shared store.
type Store[T any, R comparable] struct {
	Node  *Node
	World *World[T, R]
}

// Find implements idem.Store.
func (s Store[T, R]) Find(
	_ context.Context, keys []idem.Key,
) (map[idem.Key]idem.Record[R], error) {
	var found map[idem.Key]idem.Record[R]
	err := s.Node.wait(&Call{Step: idemtest.Find, Keys: keys, do: func() (err error) {
		found, err = s.World.Store.Find(context.Background(), keys)
		return err
	}})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Commit implements idem.Store.
func (s Store[T, R]) Commit(
	_ context.Context, reqs []idem.Request[T],
) ([]idem.Answer[R], error) {
	keys := make([]idem.Key, len(reqs))
	var locks []string
	for i, req := range reqs {
		keys[i] = req.Key
		locks = append(locks, "key "+string(req.Key))
		if s.World.Locks != nil {
			locks = append(locks, s.World.Locks(req.Payload)...)
		}
	}
	var answers []idem.Answer[R]
	err := s.Node.wait(&Call{
		Step: idemtest.Commit, Keys: keys, locks: locks,
		do: func() (err error) {
			answers, err = s.World.Store.Commit(context.Background(), reqs)
			return err
		},
		heard: func() { s.World.heard(s.Node, answers) },
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// Guard is the guard of a node. It holds every decision against what the store knows.
type Guard[T any, R comparable] struct {
	Node  *Node
	World *World[T, R]
	Inner *idem.Guard[T, R]
}

// Process asks the guard for its decision.
func (g Guard[T, R]) Process(ctx context.Context, req idem.Request[T]) idem.Decision[R] {
	var faults int
	err := g.Node.Call(ctx, Receive, string(req.Key), func() error {
		faults = g.Node.faults
		return nil
	})
	if err == nil {
		err = ctx.Err() // here, because the guard's own choice would not be repeatable
	}
	if err != nil {
		return idem.Decision[R]{Verdict: idem.Retry, Err: err}
	}
	d := g.Inner.Process(ctx, req)
	delivery := DeliveryOf(ctx)
	delivery.Verdict, delivery.By, delivery.Err = d.Verdict, d.By, d.Err
	what := fmt.Sprintf("%s with verdict %d by %d", req.Key, d.Verdict, d.By)
	err = g.Node.Call(ctx, Answer, what, func() error {
		excused := g.Node.faults > faults || ctx.Err() != nil
		if err := g.World.judge(delivery, req, d, excused); err != nil {
			g.Node.sim.Fail(err)
		}
		return nil
	})
	if err != nil {
		return idem.Decision[R]{Verdict: idem.Retry, Err: err}
	}
	return d
}
