package idem_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/payment/internal/idem"
)

// office is the function of a Batcher: it doubles its items, one batch for each ticket it gets,
// and keeps what it was given.
type office struct {
	tickets chan struct{}

	mu      sync.Mutex
	batches [][]int
}

func newOffice() *office { return &office{tickets: make(chan struct{})} }

func (o *office) run(ctx context.Context, in []int) []int {
	o.mu.Lock()
	o.batches = append(o.batches, slices.Clone(in))
	o.mu.Unlock()
	<-o.tickets
	out := make([]int, len(in))
	for i, n := range in {
		out[i] = 2 * n
	}
	return out
}

func (o *office) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fmt.Sprint(o.batches)
}

func wantSeen(t *testing.T, o *office, want string) {
	t.Helper()
	if got := o.seen(); got != want {
		t.Errorf("batches %s, want %s", got, want)
	}
}

func TestBatcher_Do_PilesUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 3, Workers: 1, Waiting: 10}, o.run)
		defer b.Close()
		var wg sync.WaitGroup
		for n := range 6 {
			wg.Go(func() {
				if got, err := b.Do(t.Context(), n); got != 2*n || err != nil {
					t.Errorf("Do(%d) = %d, %v", n, got, err)
				}
			})
			synctest.Wait()
		}
		wantSeen(t, o, "[[0]]") // alone, without waiting for company
		if got := b.Waiting(); got != 5 {
			t.Errorf("%d wait, want 5", got)
		}
		o.tickets <- struct{}{}
		synctest.Wait()
		wantSeen(t, o, "[[0] [1 2 3]]")
		o.tickets <- struct{}{}
		o.tickets <- struct{}{}
		wg.Wait()
		wantSeen(t, o, "[[0] [1 2 3] [4 5]]")
	})
}

func TestBatcher_Do_Workers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 3, Workers: 2, Waiting: 10}, o.run)
		defer b.Close()
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() { _, _ = b.Do(t.Context(), n) })
			synctest.Wait()
		}
		wantSeen(t, o, "[[0] [1]]")
		close(o.tickets)
		wg.Wait()
		wantSeen(t, o, "[[0] [1] [2 3]]")
	})
}

func TestBatcher_Do_WaitingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 9, Workers: 1, Waiting: 2}, o.run)
		defer b.Close()
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() { _, _ = b.Do(t.Context(), n) })
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := b.Do(ctx, 3); !errors.Is(err, context.Canceled) {
				t.Errorf("Do without room: %v, want context.Canceled", err)
			}
		})
		synctest.Wait()
		if got := b.Waiting(); got != 2 {
			t.Errorf("%d wait, want 2", got)
		}
		cancel()
		synctest.Wait()
		close(o.tickets)
		wg.Wait()
		wantSeen(t, o, "[[0] [1 2]]")
	})
}

func TestBatcher_Do_CancelledIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 9, Workers: 1, Waiting: 9}, o.run)
		defer b.Close()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.Do(t.Context(), 0) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 4 {
			wg.Go(func() {
				if n%2 == 0 {
					if _, err := b.Do(ctx, n); !errors.Is(err, context.Canceled) {
						t.Errorf("cancelled Do(%d): %v", n, err)
					}
				} else if got, err := b.Do(t.Context(), n); got != 2*n || err != nil {
					t.Errorf("Do(%d) = %d, %v", n, got, err)
				}
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(o.tickets)
		wg.Wait()
		wantSeen(t, o, "[[0] [1 3]]")
	})
}

// An answer is not thrown away because the caller's time ran out in the same moment.
func TestBatcher_Do_AnswerBeatsContext(t *testing.T) {
	t.Parallel()
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		b := idem.NewBatcher(idem.BatcherOptions{}, func(_ context.Context, in []int) []int {
			return in
		})
		answered := &lateContext{Context: ctx, cancel: cancel, close: b.Close}
		got, err := b.Do(answered, 7)
		if got != 7 || err != nil {
			t.Fatalf("Do = %d, %v; want the answer that was there", got, err)
		}
		cancel()
	}
}

// An item that reaches the queue after the last worker has left is refused, not forgotten.
func TestBatcher_Do_MissedByTheLastWorker(t *testing.T) {
	t.Parallel()
	for range 50 { // each has an even chance to reach the queue
		b := idem.NewBatcher(idem.BatcherOptions{}, func(_ context.Context, in []int) []int {
			t.Error("handled after Close")
			return in
		})
		closed := &closingContext{Context: t.Context(), close: b.Close}
		if _, err := b.Do(closed, 7); !errors.Is(err, idem.ErrClosed) {
			t.Fatalf("Do: %v, want ErrClosed", err)
		}
	}
}

// closingContext closes a Batcher between Do's look at whether it is closed and its next step.
type closingContext struct {
	context.Context
	close func()
}

func (c *closingContext) Done() <-chan struct{} {
	c.close()
	return c.Context.Done()
}

// While a Batcher closes it refuses new calls even if it still has room and workers.
func TestBatcher_Do_RefusedWhileClosing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 9, Workers: 1, Waiting: 99}, o.run)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = b.Do(t.Context(), 0) })
		synctest.Wait()
		wg.Go(b.Close)
		synctest.Wait()
		for n := range 20 {
			wg.Go(func() {
				if _, err := b.Do(t.Context(), n); !errors.Is(err, idem.ErrClosed) {
					t.Errorf("Do while closing: %v, want ErrClosed", err)
				}
			})
		}
		synctest.Wait()
		close(o.tickets)
		wg.Wait()
		wantSeen(t, o, "[[0]]")
	})
}

// lateContext ends when it is asked for the second time how to wait for its end, which is after
// the answer has come: it lets the Batcher finish first.
type lateContext struct {
	context.Context
	cancel, close func()
	asked         int
}

func (c *lateContext) Done() <-chan struct{} {
	if c.asked++; c.asked == 2 {
		c.close()
		c.cancel()
	}
	return c.Context.Done()
}

func TestBatcher_Do_Panic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 9, Workers: 1, Waiting: 9},
			func(ctx context.Context, in []int) []int {
				out := o.run(ctx, in)
				if in[0] == 1 {
					panic("broken on purpose")
				}
				return out
			})
		defer b.Close()
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() {
				_, err := b.Do(t.Context(), n)
				var panicked *idem.PanicError
				if errors.As(err, &panicked) != (n > 0) {
					t.Errorf("Do(%d): %v", n, err)
				}
			})
			synctest.Wait()
		}
		close(o.tickets)
		wg.Wait()
		if got, err := b.Do(t.Context(), 4); got != 8 || err != nil { // the worker lives
			t.Errorf("Do after a panic = %d, %v", got, err)
		}
	})
}

func TestBatcher_Do_WrongNumberOfAnswers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 2} {
		b := idem.NewBatcher(idem.BatcherOptions{Max: 1, Workers: 1, Waiting: 1},
			func(context.Context, []int) []int { return make([]int, n) })
		if _, err := b.Do(t.Context(), 1); err == nil {
			t.Errorf("%d answers to one item: no error", n)
		}
		b.Close()
	}
}

func TestBatcher_Close_AnswersEveryone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOffice()
		b := idem.NewBatcher(idem.BatcherOptions{Max: 2, Workers: 2, Waiting: 3}, o.run)
		var wg sync.WaitGroup
		answered, refused := 0, 0
		var mu sync.Mutex
		for n := range 8 { // 2 under way, 3 waiting, 3 before the queue
			wg.Go(func() {
				_, err := b.Do(t.Context(), n)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					answered++
				case errors.Is(err, idem.ErrClosed):
					refused++
				default:
					t.Errorf("Do(%d): %v", n, err)
				}
			})
			synctest.Wait()
		}
		closed := false
		wg.Go(func() { b.Close(); closed = true })
		synctest.Wait()
		if closed {
			t.Error("Close returned while batches were under way")
		}
		if _, err := b.Do(t.Context(), 9); !errors.Is(err, idem.ErrClosed) {
			t.Errorf("Do while closing: %v, want ErrClosed", err)
		}
		close(o.tickets)
		wg.Wait()
		if answered != 5 || refused != 3 {
			t.Errorf("%d answered and %d refused, want 5 and 3", answered, refused)
		}
		b.Close()
	})
}

// TestBatcher_Close_UnderLoad closes while calls arrive: each is answered or refused, and no
// answer is given to an item that was not handled.
func TestBatcher_Close_UnderLoad(t *testing.T) {
	t.Parallel()
	for range 50 {
		var handled sync.Map
		b := idem.NewBatcher(idem.BatcherOptions{Max: 4, Workers: 2, Waiting: 2},
			func(_ context.Context, in []int) []int {
				for _, n := range in {
					handled.Store(n, true)
				}
				return in
			})
		var wg sync.WaitGroup
		for n := range 40 {
			wg.Go(func() {
				got, err := b.Do(context.Background(), n)
				_, done := handled.Load(n)
				if (err == nil) != done || (err == nil && got != n) ||
					(err != nil && !errors.Is(err, idem.ErrClosed)) {
					t.Errorf("Do(%d) = %d, %v; handled %v", n, got, err, done)
				}
			})
		}
		b.Close()
		wg.Wait()
	}
}
