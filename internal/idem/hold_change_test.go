package idem_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hanging fails at once the first time, and then hangs until its own limit or its context ends.
func hanging(limit time.Duration) func(context.Context) error {
	tried := false
	return func(ctx context.Context) error {
		if !tried {
			tried = true
			return errDown
		}
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		<-ctx.Done()
		return ctx.Err()
	}
}

// A trial that runs out of time has learnt nothing: it must not send everybody at a dependency
// that hangs.
func TestHold_Do_HangingTrialLetsNobodyGo(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string][2]time.Duration{
		"ItsOwnLimit": {time.Minute, time.Hour}, "TheCallersContext": {time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := &dependency{err: errDown}
				h := newHold(d)
				ctx, cancel := context.WithTimeout(t.Context(), limits[1])
				defer cancel()
				if err := h.Do(ctx, hanging(limits[0])); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Do: %v, want its limit", err)
				}
				d.expect(t, "after a hanging trial", 0, errDown)
			})
		})
	}
}

// A trial that fails otherwise has reached the dependency.
func TestHold_Do_OtherErrorLetsGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{err: errDown}
		h := newHold(d)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := h.Do(t.Context(), d.op); !errors.Is(err, errBroken) {
					t.Errorf("Do: %v", err)
				}
			})
		}
		time.Sleep(time.Minute)
		d.set(errBroken)
		wg.Wait()
		d.mu.Lock()
		calls := d.calls
		d.mu.Unlock()
		d.expect(t, "at the end", calls, errDown, nil)
	})
}

// What a call says that began before a change is older than that change: when many calls end
// together, half of them well and half not, calls are held once and let go once.
func TestHold_Do_OldNewsIsNoChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{}
		h := newHold(d)
		ends := make([]chan error, 6)
		var wg sync.WaitGroup
		for i := range ends {
			ends[i] = make(chan error)
			wg.Go(func() {
				first := true
				err := h.Do(t.Context(), func(ctx context.Context) error {
					if first {
						first = false
						return <-ends[i]
					}
					return d.op(ctx)
				})
				if err != nil {
					t.Errorf("Do: %v", err)
				}
			})
		}
		synctest.Wait()
		ends[0] <- errDown // held from here on
		synctest.Wait()
		for i, err := range []error{nil, errDown, nil} {
			ends[i+1] <- err
			synctest.Wait()
			d.expect(t, "while they end", 0, errDown)
		}
		time.Sleep(10 * time.Second) // a trial succeeds
		d.expect(t, "let go", 2, errDown, nil)
		ends[4] <- errDown // began long before, and only now gives up
		ends[5] <- nil
		wg.Wait()
		d.expect(t, "at the end", 3, errDown, nil)
		if h.Holding() {
			t.Error("holding")
		}
	})
}

func TestHold_Do_TwoOutages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := &dependency{}
		h := newHold(d)
		for range 2 {
			d.set(errDown)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := h.Do(t.Context(), d.op); err != nil {
					t.Errorf("Do: %v", err)
				}
			})
			time.Sleep(5 * time.Minute)
			d.set(nil)
			wg.Wait()
			start := time.Now()
			if err := h.Do(t.Context(), d.op); err != nil || time.Since(start) != time.Second {
				t.Errorf("Do between outages: %v after %v", err, time.Since(start))
			}
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if got := fmt.Sprint(d.changes); got != fmt.Sprint([]error{errDown, nil, errDown, nil}) {
			t.Errorf("changes %s", got)
		}
	})
}

// The next outage starts with short pauses again.
func TestHold_Do_BackoffStartsAfresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHold(&dependency{})
		for range 2 {
			var at []time.Time
			err := h.Do(t.Context(), func(context.Context) error {
				if at = append(at, time.Now()); len(at) < 6 {
					return errDown
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := at[1].Sub(at[0]); got > time.Second {
				t.Errorf("the first pause took %v, want at most 1s", got)
			}
		}
	})
}

// A caller leaves at its own limit, whatever the one on trial is doing, and is told the cause.
func TestHold_Do_LeavesAtItsOwnLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHold(&dependency{})
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			failed := false
			err := h.Do(t.Context(), func(context.Context) error {
				if failed {
					<-release
					return nil
				}
				failed = true
				return errDown
			})
			if err != nil {
				t.Errorf("the one on trial: %v", err)
			}
		})
		synctest.Wait()
		for _, limit := range []time.Duration{time.Millisecond, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			start := time.Now()
			err := h.Do(ctx, func(context.Context) error { return errBroken })
			if !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Do: %v, want the cause and the context's error", err)
			}
			if got := time.Since(start); got != limit {
				t.Errorf("left after %v, want %v", got, limit)
			}
			cancel()
		}
		close(release)
		wg.Wait()
	})
}

// A call that fails as its context ends returns its own error.
func TestHold_Do_FailsAsItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	err := newHold(&dependency{}).Do(ctx, func(context.Context) error {
		cancel()
		return errDown
	})
	if err != errDown { //nolint:errorlint // exactly this one, not wrapped
		t.Errorf("Do: %v, want %v itself", err, errDown)
	}
}
