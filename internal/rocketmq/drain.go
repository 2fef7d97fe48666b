package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"
)

// Limits of the last steps of a drain.
const (
	// flushTime is how long the committed offsets are given to reach the broker. They are sent
	// without an answer, and closing a connection that has unread bytes throws away what was
	// sent.
	flushTime = 100 * time.Millisecond
	// closeTimeout bounds what the client does at its end: with a broker that swallows
	// everything, it waits 15 s for a connection, for each queue.
	closeTimeout = 10 * time.Second
)

// Drain stops taking messages, lets the running handlers finish, sees to it that their answers
// are stored, and leaves the group. At the drain timeout it cancels the handlers' contexts while
// their messages can still be sent back. The client by itself would discard every answer that is
// under way. When ctx ends, Drain returns, whatever it still waits for; its deadline leaves time
// for what comes after the drain timeout. A Start that is still trying must be cancelled first.
//
// A crash in here loses nothing: an unanswered message comes again. The error says which handlers
// have not returned in time; the consumer is closed all the same. A consumer that was not started
// is simply closed.
func (c *Consumer) Drain(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drained {
		return nil
	}
	c.drained = true
	c.started.Store(false)
	defer c.limits.cancel()
	if c.client == nil {
		return nil
	}
	// Suspend ends the pulls, not those that are waiting at the broker, nor what is pulled.
	c.client.Suspend()
	suspended := time.Now()
	err := c.awaitHandlers(ctx, c.gate.close())
	c.watch.stop()
	sleep(ctx, c.config.Settle)
	return errors.Join(err, c.leave(ctx, suspended))
}

// awaitHandlers waits for the running handlers, first patiently, then with their contexts ended.
func (c *Consumer) awaitHandlers(ctx context.Context, idle <-chan struct{}) error {
	if awaitUntil(ctx, idle, c.config.DrainTimeout) {
		return nil
	}
	running, _ := c.gate.counts()
	c.log.Warn("drain timeout: ending the contexts of running handlers", zap.Int("running", running))
	c.limits.cancel()
	if awaitUntil(ctx, idle, min(c.config.CancelGrace, half(ctx))) {
		return nil
	}
	running, _ = c.gate.counts()
	return fmt.Errorf("rocketmq: drain: %d handlers have not returned; their messages come again",
		running)
}

// half is half of the time that is left until ctx ends.
func half(ctx context.Context) time.Duration {
	deadline, limited := ctx.Deadline()
	if !limited {
		return math.MaxInt64
	}
	return time.Until(deadline) / 2
}

// leave stores the offsets, closes the client and lets the parked go.
func (c *Consumer) leave(ctx context.Context, suspended time.Time) error {
	var err error
	pulling := 0
	closed := make(chan struct{})
	go func() { //nolint:gosec // it goes on when the caller's context has ended
		defer close(closed)
		err = c.client.PersistConsumerOffset()
		sleep(context.Background(), flushTime)
		// A message that arrives in the very instant of the shutdown meets a closed channel
		// in the client, which ends the process, with everything answered. A pull that waits
		// at the broker for an empty queue may last 20 s, too long to wait for it; the rest
		// have ended by now, and asking for them puts their end before the shutdown.
		pulling = c.client.pulling(suspended)
		err = errors.Join(err, c.client.Shutdown())
	}()
	_, parked := c.gate.counts()
	if !awaitUntil(ctx, closed, closeTimeout) {
		// The parked stay, as the client might take their answers; the end of the process
		// is the end of them.
		return errors.New("rocketmq: drain: the client did not close in time")
	}
	// The client has dropped its queues, so that it discards the answers of the parked.
	awaitUntil(ctx, c.gate.release(), c.config.CancelGrace)
	c.log.Info("consumer drained", zap.Int64("delivered", c.delivered.Load()),
		zap.Int("unanswered", parked), zap.Int("pulls_open", pulling))
	return err
}

// awaitUntil says whether done was closed within the limit and before ctx ended.
func awaitUntil(ctx context.Context, done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}
