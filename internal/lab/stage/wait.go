package stage

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/payment/internal/lab"
)

// poll is how often something that is waited for is looked at.
const poll = 50 * time.Millisecond

// until waits for something to become true.
func until(ctx context.Context, what string, limit time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		}
	}
	return nil
}

// pause waits, or returns early when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// line is a sentence of the catalogue; pairs are the names of its gaps and what stands in them.
func line(key string, pairs ...any) lab.Line {
	args := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		args[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	return lab.Line{Key: key, Args: args}
}

func cut(variable string) (name, value string, found bool) {
	return strings.Cut(variable, "=")
}

// seconds is a duration as people say it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) }
