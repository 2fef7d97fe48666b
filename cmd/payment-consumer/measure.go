package main

import (
	"context"
	"sync/atomic"
	"time"

	"example.com/payment/internal/mysql"
	"example.com/payment/internal/ops"
	"example.com/payment/internal/rocketmq"
)

// The kinds of queues that a consumer reads, as metrics call them.
const (
	kindOrders       = "orders"
	kindRetries      = "retries"
	kindDead         = "dead_letters"
	kindDeadRetries  = "dead_letter_retries"
	quarantinePause  = 15 * time.Second
	quarantineBudget = 5 * time.Second
)

// sources are what /metrics asks. All of it is in memory, kept up to date by others.
func (s *service) sources() ops.Sources {
	return ops.Sources{
		InFlight: func() int {
			return s.orders.Stats().InFlight + s.deadLetters.Stats().InFlight
		},
		Waiting: s.guard.Waiting,
		Queues:  s.queues, Assigned: s.assigned,
		Quarantine: s.openMessages.read,
		Pools:      map[string]func() ops.Pool{"database": s.databasePool, "cache": s.cachePool},
	}
}

// eachReader calls fn for both readers, with what their queues are called.
func (s *service) eachReader(fn func(stats rocketmq.Stats, topic, own, retries string)) {
	fn(s.orders.Stats(), s.orders.Topic(), kindOrders, kindRetries)
	fn(s.deadLetters.Stats(), s.deadLetters.Topic(), kindDead, kindDeadRetries)
}

func (s *service) queues() (all []ops.Queue) {
	s.eachReader(func(stats rocketmq.Stats, topic, own, retries string) {
		for _, q := range stats.Queues {
			kind := retries
			if q.Topic == topic {
				kind = own
			}
			all = append(all, ops.Queue{Kind: kind, Broker: q.Broker, ID: q.Queue, Lag: q.Backlog()})
		}
	})
	return all
}

// assigned tells of every kind, also with none: a consumer that reads nothing is what one looks
// for.
func (s *service) assigned() map[string]int {
	all := map[string]int{}
	s.eachReader(func(stats rocketmq.Stats, topic, own, retries string) {
		all[own] += stats.Assigned[topic]
		for other, n := range stats.Assigned {
			if other != topic {
				all[retries] += n
			}
		}
	})
	return all
}

func (s *service) databasePool() ops.Pool {
	p := s.db.Stats()
	return ops.Pool{
		Max: p.MaxOpenConnections, InUse: p.InUse, Idle: p.Idle,
		Waits: p.WaitCount, Waited: p.WaitDuration,
	}
}

func (s *service) cachePool() ops.Pool { return ops.Pool(s.cache.Pool()) }

// openMessages remembers how many messages are open in quarantine.
type openMessages struct {
	last atomic.Pointer[[]ops.Quarantined]
}

func (o *openMessages) read() []ops.Quarantined {
	if found := o.last.Load(); found != nil {
		return *found
	}
	return nil
}

// watch counts again and again until ctx ends. While the database is away the last count stays:
// readiness says that it is away.
func (o *openMessages) watch(ctx context.Context, quarantine *mysql.Quarantine) {
	tick := time.NewTicker(quarantinePause)
	defer tick.Stop()
	for {
		o.count(ctx, quarantine)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (o *openMessages) count(ctx context.Context, quarantine *mysql.Quarantine) {
	ctx, cancel := context.WithTimeout(ctx, quarantineBudget)
	defer cancel()
	groups, err := quarantine.OpenGroups(ctx)
	if err != nil {
		return
	}
	found := make([]ops.Quarantined, len(groups))
	for i, g := range groups {
		found[i] = ops.Quarantined{
			Kind: string(g.Kind), Reason: g.Reason, State: string(g.State), Count: g.Count,
		}
	}
	o.last.Store(&found)
}
