package cases

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/payment/internal/faults"
)

func awaitReady(ctx context.Context, all ...*faults.Consumer) error {
	for _, c := range all {
		if err := c.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// unready says whether a consumer itself says that it is not ready: that no answer comes may be
// the machine's fault.
func unready(ctx context.Context, c *faults.Consumer) bool {
	_, status, err := c.Get(ctx, "/readyz")
	return err == nil && status == http.StatusServiceUnavailable
}

func awaitUnready(ctx context.Context, all ...*faults.Consumer) error {
	for _, c := range all {
		if err := faults.Until(ctx, "readiness to end", soon, func() bool {
			return unready(ctx, c)
		}); err != nil {
			return err
		}
	}
	return nil
}

// stayUnready waits until a consumer has not been ready for so long, at a stretch.
func stayUnready(ctx context.Context, c *faults.Consumer, length time.Duration) error {
	since := time.Now()
	return faults.Until(ctx, fmt.Sprint(length, " without readiness"), soon, func() bool {
		if !unready(ctx, c) {
			since = time.Now()
		}
		return time.Since(since) >= length
	})
}

// heldUntil wants consumers to say that they are not ready, and to go on saying so until a time.
func heldUntil(ctx context.Context, end time.Time, consumers ...*faults.Consumer) error {
	if err := awaitUnready(ctx, consumers...); err != nil {
		return err
	}
	for time.Now().Before(end) && ctx.Err() == nil {
		for _, c := range consumers {
			if !c.Alive() || c.Ready(ctx) {
				return errors.New("ready although a server that is needed stands still")
			}
		}
		rest(ctx, 100*time.Millisecond)
	}
	return ctx.Err()
}

// readyAllAlong does something and wants a consumer never to say meanwhile that it is not ready.
func readyAllAlong(ctx context.Context, c *faults.Consumer, do func() error) error {
	over := make(chan struct{})
	var lapse error
	var watch sync.WaitGroup
	watch.Go(func() {
		for lapse == nil {
			if unready(ctx, c) {
				lapse = errors.New("the consumer was not ready, and can do its work")
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-over:
				return
			}
		}
	})
	err := do()
	close(over)
	watch.Wait()
	return errors.Join(err, lapse)
}
