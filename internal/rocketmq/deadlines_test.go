package rocketmq

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadlines: a context lasts as long as was asked for, and hardly longer, whenever it is asked
// for; those of the same moment are one.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const after = 100 * time.Second
		d := newDeadlines(after)
		defer d.cancel()
		if d.context() != d.context() {
			t.Error("two calls of one moment have two contexts")
		}
		for range 500 {
			deadline, ok := d.context().Deadline()
			if left := time.Until(deadline); !ok || left < after || left > after+after/sharing {
				t.Fatalf("a context with %v left, want %v and up to %v more", left, after, after/sharing)
			}
			time.Sleep(300 * time.Millisecond)
		}
		last := d.context()
		<-last.Done()
		if err := last.Err(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context ended with %v", err)
		}
		if err := d.context().Err(); err != nil {
			t.Errorf("after that, a context that has ended with %v", err)
		}
	})
}

// TestDeadlines_Cancel ends what is handed out, and what will be.
func TestDeadlines_Cancel(t *testing.T) {
	t.Parallel()
	d := newDeadlines(time.Hour)
	before := d.context()
	d.cancel()
	for _, ctx := range []context.Context{before, d.context()} {
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("a context ended with %v", ctx.Err())
		}
	}
}
