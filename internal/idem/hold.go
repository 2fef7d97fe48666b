package idem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// HoldOptions set the pace of a Hold. Zero values take the defaults.
type HoldOptions struct {
	MinBackoff time.Duration // wait before the first trial; default 100 ms
	MaxBackoff time.Duration // longest wait between two trials; default 5 s
	// OnChange, if set, is called once when calls begin to be held, with the error that caused
	// it, and once when they are let go, with nil. It must not call the Hold.
	OnChange func(cause error)
}

// Hold makes the users of a dependency wait out its outage. While the dependency works, Do only
// calls the operation. Once an operation fails with ErrUnavailable all callers stand still, and
// one of them at a time tries its own operation, after a backoff with jitter; the first trial
// that gets an answer lets everybody go.
//
// Waiting in place matters to a consumer of messages: a message that is given back climbs the
// broker's retry ladder and ends as a dead letter, although nothing was wrong with it.
//
// A Hold has no goroutine and is safe for concurrent use.
type Hold struct {
	opts HoldOptions
	turn chan struct{} // holds a token while somebody is on trial

	mu      sync.Mutex
	opened  chan struct{} // nil while calls pass; closed when they are let go
	changes int           // how often calls began to be held or were let go
	cause   error         // the last failure that held calls
	trials  int           // failed since calls are held
	inside  int           // calls of Do under way
}

// leave is the permission to try an operation.
type leave struct {
	onTrial bool
	changes int // of the Hold when it was given
}

// NewHold returns a Hold that lets calls pass.
func NewHold(opts HoldOptions) *Hold {
	if opts.MinBackoff <= 0 {
		opts.MinBackoff = 100 * time.Millisecond
	}
	if opts.MaxBackoff <= 0 {
		opts.MaxBackoff = 5 * time.Second
	}
	if opts.OnChange == nil {
		opts.OnChange = func(error) {}
	}
	return &Hold{opts: opts, turn: make(chan struct{}, 1)}
}

// Do calls op until it does anything else than fail with ErrUnavailable, and returns what it
// returned then. When ctx ends while the call is held, the error wraps the context's error and
// the failure that holds it, which is an ErrUnavailable.
func (h *Hold) Do(ctx context.Context, op func(ctx context.Context) error) error {
	h.count(1)
	defer h.count(-1)
	for {
		l, err := h.enter(ctx)
		if err != nil {
			return err
		}
		err = h.attempt(ctx, op, l)
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
}

// Holding reports whether calls are waiting for the dependency to come back.
func (h *Hold) Holding() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.opened != nil && h.inside > 0
}

func (h *Hold) count(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside += n
}

// enter returns when the caller may try its operation: at once while calls pass, as the one on
// trial while they are held.
func (h *Hold) enter(ctx context.Context) (leave, error) {
	for {
		h.mu.Lock()
		opened, l := h.opened, leave{changes: h.changes}
		h.mu.Unlock()
		if opened == nil {
			return l, ctx.Err()
		}
		if ctx.Err() != nil {
			return l, h.outlasted(ctx)
		}
		select {
		case <-ctx.Done():
		case <-opened: // and perhaps shut again since: look
		case h.turn <- struct{}{}:
			if l.onTrial = h.pause(ctx); l.onTrial {
				return l, nil
			}
			<-h.turn
		}
	}
}

// pause waits out the backoff before a trial, and reports whether ctx left time for it. Nobody
// else can let calls go meanwhile, because that takes the turn.
func (h *Hold) pause(ctx context.Context) bool {
	h.mu.Lock()
	failures := h.trials + 1
	h.mu.Unlock()
	return Backoff{Min: h.opts.MinBackoff, Max: h.opts.MaxBackoff}.Wait(ctx, failures)
}

func (h *Hold) outlasted(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Errorf("idem: held until %w: %w", ctx.Err(), h.cause)
}

// attempt runs op, and holds or lets go all calls by what it returns. Only news counts: many
// calls end together, and what one of them, begun before the last change, says of the dependency
// is older than that change. A panic changes nothing and passes on, but never keeps the turn.
func (h *Hold) attempt(
	ctx context.Context, op func(ctx context.Context) error, l leave,
) error {
	if l.onTrial {
		defer func() { <-h.turn }()
	}
	err := op(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changes != l.changes {
		return err
	}
	switch failed := errors.Is(err, ErrUnavailable); {
	case failed && !l.onTrial:
		h.opened = make(chan struct{})
		h.cause = err
		h.changes++
		h.opts.OnChange(err)
	case failed:
		h.cause = err
		h.trials++
	case l.onTrial && !gaveUp(err):
		close(h.opened)
		h.opened, h.trials = nil, 0
		h.changes++
		h.opts.OnChange(nil)
	}
	return err
}

// gaveUp reports whether an operation was ended by its own limit, which says nothing of the
// dependency; taken for a success, it would send all callers at one that hangs.
func gaveUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
