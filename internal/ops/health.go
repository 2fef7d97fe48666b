package ops

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// reasonLength bounds what a report says of a failure.
const reasonLength = 200

// ErrNotSeen is the state of a dependency that nobody has reported on.
var ErrNotSeen = errors.New("not yet seen up")

// Health knows which dependencies are up. It is safe for concurrent use.
type Health struct {
	now      func() time.Time
	onChange func(dependency string, problem error)

	mu           sync.Mutex
	dependencies []*Dependency
	draining     bool
}

// Dependency is one thing that the program needs. It is down until Set says otherwise.
type Dependency struct {
	health   *Health
	name     string
	required bool

	// Guarded by health.mu.
	err   error
	note  string
	since time.Time
}

// NewHealth returns a Health without dependencies. If onChange is set, it is told of each
// dependency: that it is not seen yet, then the first state and each change, with what is the
// matter or nil. It must not call the Health.
func NewHealth(now func() time.Time, onChange func(dependency string, problem error)) *Health {
	if onChange == nil {
		onChange = func(string, error) {}
	}
	return &Health{now: now, onChange: onChange}
}

// Require adds a dependency without which the program is not ready.
func (h *Health) Require(name string) *Dependency { return h.add(name, true) }

// Optional adds a dependency that is reported, and without which the program goes on.
func (h *Health) Optional(name string) *Dependency { return h.add(name, false) }

func (h *Health) add(name string, required bool) *Dependency {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := &Dependency{
		health: h, name: name, required: required, err: ErrNotSeen, since: h.now(),
	}
	h.dependencies = append(h.dependencies, d)
	h.onChange(name, d.err)
	return d
}

// Set says that the dependency is up, with nil, or why it is not.
func (d *Dependency) Set(err error) {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	changed := (d.err == nil) != (err == nil)
	first := errors.Is(d.err, ErrNotSeen)
	d.err = err
	if changed {
		d.since = d.health.now()
	}
	if changed || first {
		d.health.onChange(d.name, err)
	}
}

// Note adds something to the report that decides nothing, in place of an earlier note.
func (d *Dependency) Note(text string) {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	d.note = text
}

// Watch reports what a check says, now and again after each pause, until the context ends. Each
// call of the check gets the timeout. The caller runs Watch in a goroutine and waits for it.
func (d *Dependency) Watch(
	ctx context.Context, pause, timeout time.Duration, check func(context.Context) error,
) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := checkOnce(ctx, timeout, check)
		if ctx.Err() != nil {
			return // what failed was the end, not the dependency
		}
		d.Set(err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func checkOnce(
	ctx context.Context, timeout time.Duration, check func(context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return check(ctx)
}

// Drain makes the program unready for good, because it is stopping.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Report is what /readyz answers.
type Report struct {
	Ready        bool     `json:"ready"`
	Stopping     bool     `json:"stopping,omitempty"`
	Dependencies []Status `json:"dependencies"`
}

// Status is the state of one dependency.
type Status struct {
	Name     string    `json:"name"`
	Required bool      `json:"required"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// Report says what is up, in the order in which the dependencies were added.
func (h *Health) Report() Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := Report{Ready: !h.draining, Stopping: h.draining, Dependencies: []Status{}}
	for _, d := range h.dependencies {
		s := Status{
			Name: d.name, Required: d.required, Up: d.err == nil, Since: d.since.UTC(), Note: d.note,
		}
		if d.err != nil {
			s.Reason = fmt.Sprintf("%.*s", reasonLength, d.err.Error())
			r.Ready = r.Ready && !d.required
		}
		r.Dependencies = append(r.Dependencies, s)
	}
	return r
}
