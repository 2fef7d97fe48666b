package rocketmq

import (
	"context"
	"sync"
	"time"
)

// sharing is the part of its time for which a context is handed out: a hundredth.
const sharing = 100

// deadlines hands out contexts that end some time after they are asked for, or all at once.
// Whoever asks at about the same time gets the same one, which ends up to a hundredth later than
// asked. One for each message would cost as much as decoding it: a timer, and a place in a list
// of its parent that all share. It is safe for concurrent use.
type deadlines struct {
	base   context.Context
	cancel context.CancelFunc
	after  time.Duration

	mu      sync.Mutex
	shared  context.Context
	release context.CancelFunc
	until   time.Time // shared is handed out
}

func newDeadlines(after time.Duration) *deadlines {
	base, cancel := context.WithCancel(context.Background())
	return &deadlines{base: base, cancel: cancel, after: after}
}

// context returns one that the caller does not release: its end does, which comes by itself.
func (d *deadlines) context() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); !now.Before(d.until) {
		d.until = now.Add(d.after / sharing)
		//nolint:gosec // Nobody knows who is done with it last; it ends by itself.
		d.shared, d.release = context.WithTimeout(d.base, d.after+d.after/sharing)
	}
	return d.shared
}
