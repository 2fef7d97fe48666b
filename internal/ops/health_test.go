package ops

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errDown = errors.New("down")

// clock advances by a second with each look.
func clock() func() time.Time {
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time {
		at = at.Add(time.Second)
		return at
	}
}

func TestHealth_Ready(t *testing.T) {
	t.Parallel()
	h := NewHealth(clock(), nil)
	database, cache := h.Require("mysql"), h.Optional("redis")
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing seen", func() {}, false},
		{"cache up", func() { cache.Set(nil) }, false},
		{"database up", func() { database.Set(nil) }, true},
		{"cache down", func() { cache.Set(errDown) }, true},
		{"database down", func() { database.Set(errDown) }, false},
		{"database back", func() { database.Set(nil) }, true},
		{"stopping", h.Drain, false},
		{"stopping for good", func() { database.Set(nil) }, false},
	}
	for _, step := range steps {
		step.do()
		if got := h.Report().Ready; got != step.want {
			t.Errorf("%s: ready is %v", step.name, got)
		}
	}
}

func TestHealth_Report(t *testing.T) {
	t.Parallel()
	h := NewHealth(clock(), nil)
	database, cache := h.Require("mysql"), h.Optional("redis") // at seconds 1 and 2
	cache.Note("empty")
	database.Set(nil) // 3
	database.Set(nil)
	database.Set(errors.New(strings.Repeat("x", 1000))) // 4
	database.Set(errDown)                               // no change of state
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	want := Report{Dependencies: []Status{
		{Name: "mysql", Required: true, Since: at.Add(4 * time.Second), Reason: "down"},
		{Name: "redis", Since: at.Add(2 * time.Second), Reason: "not yet seen up", Note: "empty"},
	}}
	if diff := cmp.Diff(want, h.Report()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	database.Set(errors.New(strings.Repeat("x", 1000)))
	if got := len(h.Report().Dependencies[0].Reason); got != reasonLength {
		t.Errorf("the reason has %d bytes", got)
	}
}

func TestHealth_OnChange(t *testing.T) {
	t.Parallel()
	var got []bool
	h := NewHealth(clock(), func(_ string, problem error) { got = append(got, problem == nil) })
	d := h.Require("mysql")
	for _, err := range []error{errDown, nil, nil, errDown, errDown, nil} {
		d.Set(err)
	}
	// Not seen yet, then down: the second one has the reason.
	if diff := cmp.Diff([]bool{false, false, true, false, true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDependency_Watch(t *testing.T) {
	t.Parallel()
	changes := make(chan bool, 16)
	h := NewHealth(time.Now, func(_ string, problem error) { changes <- problem == nil })
	d := h.Require("mysql")
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Watch(ctx, time.Millisecond, time.Minute, func(ctx context.Context) error {
			calls++
			if _, limited := ctx.Deadline(); !limited {
				t.Error("the check has no time limit")
			}
			switch calls {
			case 1:
				return nil
			case 2:
				return errDown
			case 3:
				return nil
			default: // the end must not look like an outage
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
		})
	}()
	<-done
	close(changes)
	var got []bool
	for up := range changes {
		got = append(got, up)
	}
	if diff := cmp.Diff([]bool{false, true, false, true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
