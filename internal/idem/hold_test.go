package idem_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"example.com/payment/internal/idem"
)

var errDown = fmt.Errorf("server is down: %w", idem.ErrUnavailable)

// dependency is what calls go to: it counts them, and answers with err.
type dependency struct {
	mu           sync.Mutex
	err          error
	calls        int
	inside, most int
	changes      []error
	changed      time.Time
}

func (d *dependency) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// op takes a second, so that calls would be seen to overlap. What it answers is settled when it
// begins.
func (d *dependency) op(context.Context) error {
	d.mu.Lock()
	d.calls++
	d.inside++
	d.most = max(d.most, d.inside)
	err := d.err
	d.mu.Unlock()
	time.Sleep(time.Second)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	return err
}

func (d *dependency) onChange(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = append(d.changes, cause)
	d.changed = time.Now()
}

func (d *dependency) expect(t *testing.T, when string, calls int, changes ...error) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls != calls {
		t.Errorf("%s: %d calls, want %d", when, d.calls, calls)
	}
	if got, want := fmt.Sprint(d.changes), fmt.Sprint(changes); got != want {
		t.Errorf("%s: changes %s, want %s", when, got, want)
	}
}

func newHold(d *dependency) *idem.Hold {
	return idem.NewHold(idem.HoldOptions{
		MinBackoff: time.Second, MaxBackoff: time.Minute, OnChange: d.onChange,
	})
}

func TestHold_Do_Passes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{}
		h := newHold(d)
		if err := h.Do(t.Context(), d.op); err != nil {
			t.Errorf("Do: %v", err)
		}
		d.set(errBroken) // a failure of one call holds nobody
		if err := h.Do(t.Context(), d.op); !errors.Is(err, errBroken) {
			t.Errorf("Do: %v, want the operation's error", err)
		}
		if h.Holding() {
			t.Error("holding, though nothing is unavailable")
		}
		d.expect(t, "at the end", 2)
	})
}

// An outage: all stand still, one at a time is on trial, the first success lets all go.
func TestHold_Do_Outage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{err: errDown}
		h := newHold(d)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := h.Do(t.Context(), d.op); err != nil {
					t.Errorf("Do: %v", err)
				}
			})
		}
		time.Sleep(time.Second + time.Millisecond) // all 20 have failed together
		if !h.Holding() {
			t.Error("not holding during an outage")
		}
		d.expect(t, "after the first failures", 20, errDown)
		if d.most != 20 {
			t.Errorf("%d calls at once while calls pass, want 20", d.most)
		}
		d.mu.Lock()
		d.most = 0
		d.mu.Unlock()
		time.Sleep(10 * time.Minute)
		d.mu.Lock()
		trials := d.calls - 20
		if d.most != 1 || trials < 10 || trials > 30 {
			t.Errorf("%d trials in 10 minutes, at most %d at once; want 10 to 30, one at a time",
				trials, d.most)
		}
		calls := d.calls
		d.mu.Unlock()
		d.set(nil)
		wg.Wait()
		if h.Holding() {
			t.Error("still holding")
		}
		if got := time.Since(d.changed); got != time.Second {
			t.Errorf("all were through %v after they were let go, want 1s: all at once", got)
		}
		d.expect(t, "after the outage", calls+20, errDown, nil)
	})
}

func TestHold_Do_BackoffGrows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		h := idem.NewHold(idem.HoldOptions{MinBackoff: time.Second, MaxBackoff: 10 * time.Second})
		err := h.Do(t.Context(), func(context.Context) error {
			at = append(at, time.Since(start))
			if len(at) == 8 {
				return nil
			}
			return errDown
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, longest := range []time.Duration{1, 2, 4, 8, 10, 10, 10} {
			longest *= time.Second
			if got := at[i+1] - at[i]; got < longest/2 || got > longest {
				t.Errorf("pause %d took %v, want %v to %v", i+1, got, longest/2, longest)
			}
		}
	})
}

func TestHold_Do_ContextLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{err: errDown}
		h := newHold(d)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		for n := range 5 {
			wg.Go(func() {
				if n == 4 {
					time.Sleep(10 * time.Second) // comes when calls are already held
				}
				err := h.Do(ctx, d.op)
				if !errors.Is(err, idem.ErrUnavailable) {
					t.Errorf("Do: %v, want ErrUnavailable", err)
				}
			})
		}
		wg.Wait()
		if got := time.Since(start); got > 2*time.Minute+time.Second {
			t.Errorf("the last caller left after %v", got)
		}
		if h.Holding() {
			t.Error("holding nobody")
		}
		// The next caller does not know the cause by itself, and is told.
		late, stop := context.WithTimeout(t.Context(), time.Millisecond)
		defer stop()
		err := h.Do(late, d.op)
		if !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do: %v, want the cause and the context's error", err)
		}
		d.set(nil)
		if err := h.Do(t.Context(), d.op); err != nil {
			t.Errorf("Do after the outage: %v", err)
		}
	})
}

func TestHold_Do_EndedContextIsNoOutage(t *testing.T) {
	t.Parallel()
	d := &dependency{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := newHold(d).Do(ctx, d.op)
	if !errors.Is(err, context.Canceled) || errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("Do: %v, want only context.Canceled", err)
	}
	d.expect(t, "at the end", 0)
}

func TestHold_Do_PanicOnTrial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{err: errDown}
		h := newHold(d)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			failed := false
			_ = h.Do(t.Context(), func(ctx context.Context) error {
				if failed {
					d.set(nil)
					panic("broken on purpose")
				}
				failed = true
				return errDown
			})
		})
		wg.Wait()
		d.expect(t, "after the panic", 0, errDown)
		if h.Holding() {
			t.Error("the panicked call is still counted")
		}
		if err := h.Do(t.Context(), d.op); err != nil { // gets the turn that the panic held
			t.Errorf("Do: %v", err)
		}
		d.expect(t, "after the next trial", 1, errDown, nil)
	})
}

// TestHold_Do_Chaos looks for a lost turn: whatever happens, everybody gets through in the end.
func TestHold_Do_Chaos(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		t.Run(fmt.Sprint("Round", round), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := idem.NewHold(idem.HoldOptions{})
				var wg sync.WaitGroup
				for n := range 16 {
					wg.Go(func() {
						for i := range 20 {
							err := callWildly(h, n, i)
							if errors.Is(err, idem.ErrUnavailable) {
								t.Errorf("Do: %v", err)
							}
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// callWildly fails up to three times and then succeeds, gives up or panics.
func callWildly(h *idem.Hold, n, i int) error {
	defer func() { _ = recover() }()
	left := (n + i) % 4
	return h.Do(context.Background(), func(context.Context) error {
		switch left--; {
		case left >= 0:
			return errDown
		case (n+i)%7 == 0:
			return context.Canceled
		case (n*i)%11 == 10:
			panic("broken on purpose")
		default:
			return nil
		}
	})
}

func TestHold_Do_Defaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := idem.NewHold(idem.HoldOptions{})
		failed := false
		start := time.Now()
		err := h.Do(t.Context(), func(context.Context) error {
			if failed {
				return nil
			}
			failed = true
			return errDown
		})
		got := time.Since(start)
		if err != nil || got < 50*time.Millisecond || got > 100*time.Millisecond {
			t.Errorf("Do: %v after %v, want success after 50 to 100 ms", err, got)
		}
	})
}
