package idem

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait before a failed thing is tried again: Min after the first failure,
// twice as long after each further one, at most Max. A random part of up to a half is taken off
// each wait, so that many programs that failed together do not return in step.
type Backoff struct {
	Min, Max time.Duration
}

// Wait waits after the given number of failures, which is 1 or more. It reports whether ctx left
// time for it.
func (b Backoff) Wait(ctx context.Context, failures int) bool {
	timer := time.NewTimer(b.after(failures))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b Backoff) after(failures int) time.Duration {
	wait := b.Min << min(max(failures-1, 0), 30)
	if wait <= 0 || wait > b.Max { // beyond Max, or beyond what fits
		wait = b.Max
	}
	return wait - rand.N(wait/2+1) //nolint:gosec // nobody gains by guessing a pause
}
