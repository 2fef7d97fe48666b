package devstack

import (
	"context"
	"fmt"
	"time"
)

// Until waits for something to become true. The error names what did not.
func Until(ctx context.Context, what string, limit time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for last := false; !holds(); {
		if last {
			return fmt.Errorf("waited %v for %s: %w", limit, what, context.Cause(ctx))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last = true // one look more, as the machine may have stood still
		}
	}
	return nil
}

// Pause waits, or returns early when ctx ends.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
