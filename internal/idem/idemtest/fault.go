package idemtest

import (
	"context"
	"sync"
)

// Step names a call that can be broken.
type Step string

// The calls of a Cache and of a Store.
const (
	Get    Step = "cache get"
	Find   Step = "store find"
	Commit Step = "store commit"
	Put    Step = "cache put"
)

// Fault stands in for a call. It decides whether the call's work is done, by calling do or not,
// and what the caller hears of it. It may be called by several goroutines at once.
type Fault func(ctx context.Context, do func() error) error

// FailBefore fails the call with nothing done.
func FailBefore(err error) Fault {
	return func(context.Context, func() error) error { return err }
}

// FailAfter does the work and then fails, as when the answer of a server is lost. When the work
// itself fails, that is what the caller hears.
func FailAfter(err error) Fault {
	return func(_ context.Context, do func() error) error {
		if own := do(); own != nil {
			return own
		}
		return err
	}
}

// PanicBefore panics with nothing done.
func PanicBefore(value any) Fault {
	return func(context.Context, func() error) error { panic(value) }
}

// PanicAfter does the work and then panics.
func PanicAfter(value any) Fault {
	return func(_ context.Context, do func() error) error {
		if err := do(); err != nil {
			return err
		}
		panic(value)
	}
}

// Stall reports on entered that a call has arrived and does its work once release is closed, or
// fails when the call's context ends first.
func Stall(entered chan<- struct{}, release <-chan struct{}) Fault {
	return func(ctx context.Context, do func() error) error {
		select {
		case entered <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-release:
			return do()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Times applies a fault to the first n calls and lets later ones pass.
func Times(n int, fault Fault) Fault {
	var mu sync.Mutex
	return func(ctx context.Context, do func() error) error {
		mu.Lock()
		n--
		broken := n >= 0
		mu.Unlock()
		if broken {
			return fault(ctx, do)
		}
		return do()
	}
}

// Faults break the steps of the fake that embeds it. The zero value breaks nothing.
type Faults struct {
	mu     sync.Mutex
	broken map[Step]Fault
	calls  map[Step]int
}

// Break puts a fault in place of a step, until Mend.
func (f *Faults) Break(step Step, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = make(map[Step]Fault)
	}
	f.broken[step] = fault
}

// Mend takes all faults away.
func (f *Faults) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.broken)
}

// Calls returns how often a step was called, broken or not.
func (f *Faults) Calls(step Step) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[step]
}

func (f *Faults) run(ctx context.Context, step Step, do func() error) error {
	f.mu.Lock()
	fault := f.broken[step]
	if f.calls == nil {
		f.calls = make(map[Step]int)
	}
	f.calls[step]++
	f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if fault == nil {
		return do()
	}
	return fault(ctx, do)
}
