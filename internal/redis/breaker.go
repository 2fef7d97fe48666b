package redis

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"
)

// When a side is given up: after three failures in a row, since each may have cost the whole
// budget, or when half of a window's calls fail, which is a Redis that comes and goes.
const (
	tripInARow = 3
	tripWindow = 10 * time.Second
	tripCalls  = 20
)

// breaker answers for one side of Redis while it is known to fail. It says so once when that
// begins and once when it ends.
type breaker struct {
	side  Side
	hook  func(Side, bool)
	log   *zap.Logger
	inner *gobreaker.CircuitBreaker[struct{}]
	last  atomic.Pointer[failure]
	// given is whether the side is given up. Only stateChanged uses it, which the inner breaker
	// calls under its lock.
	given bool
}

func newBreaker(side Side, cfg Config, log *zap.Logger) *breaker {
	b := &breaker{side: side, hook: cfg.Hooks.Breaker, log: log}
	b.inner = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          string(side),
		MaxRequests:   1,
		Interval:      tripWindow,
		Timeout:       cfg.Pause,
		ReadyToTrip:   trips,
		IsExcluded:    func(err error) bool { return errors.Is(err, errGaveUp) },
		OnStateChange: b.stateChanged,
	})
	return b
}

func trips(c gobreaker.Counts) bool {
	return c.ConsecutiveFailures >= tripInARow ||
		c.Requests >= tripCalls && 2*c.TotalFailures >= c.Requests
}

// do calls Redis unless that is known to be useless. A call that fails because its caller gave
// up says nothing about Redis: a consumer that shuts down must not report an outage.
func (b *breaker) do(caller context.Context, call func() *failure) *failure {
	var failed *failure
	_, err := b.inner.Execute(func() (struct{}, error) {
		failed = call()
		if failed == nil {
			return struct{}{}, nil
		}
		if caller.Err() != nil {
			return struct{}{}, errGaveUp
		}
		b.last.Store(failed)
		return struct{}{}, failed
	})
	if failed == nil && err != nil {
		return &failure{text: "not asked after repeated failures", cause: ErrGivenUp}
	}
	return failed
}

// stateChanged speaks of the change between working and not, and not of the single trial calls
// in between, which would repeat the news as long as the outage lasts.
func (b *breaker) stateChanged(_ string, _, to gobreaker.State) {
	switch to {
	case gobreaker.StateOpen:
		if b.given {
			return
		}
		b.given = true
		b.hook(b.side, true)
		b.log.Warn("cache degraded: going on with the database",
			zap.String("side", string(b.side)), zap.Stringer("reason", b.last.Load()))
	case gobreaker.StateClosed:
		b.given = false
		b.hook(b.side, false)
		b.log.Info("cache recovered", zap.String("side", string(b.side)))
	case gobreaker.StateHalfOpen:
	}
}
