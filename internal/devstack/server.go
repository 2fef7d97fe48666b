package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server names one server of a stack.
type Server string

// The servers of a stack.
const (
	NameServer Server = "name server"
	Broker     Server = "broker"
	MySQL      Server = "database"
	Redis      Server = "cache"
)

// Limits of starting and ending. They are generous, because a wait ends as soon as its condition
// holds, and machines that run tests are often busy.
const (
	readyTimeout = 3 * time.Minute
	// An external server should be there already.
	externalTimeout = 20 * time.Second
	// A broker takes up to 15 s to end in order.
	stopTimeout  = 30 * time.Second
	killTimeout  = time.Minute
	queryTimeout = 5 * time.Second
	pollInterval = 50 * time.Millisecond
	// logLines of a server that did not start are shown.
	logLines = 8
)

// server is one server of a stack, ours or somebody else's.
type server struct {
	name Server
	addr string
	// external is a server of somebody else's, which is only waited for.
	external bool
	program  program
	// prepare runs before the program, ready until it returns nil, settled once after that.
	prepare, ready, settled func(context.Context) error

	mu      sync.Mutex
	process *process
}

func (s *server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// start runs the program; recorded is told of the new process before anything else happens.
func (s *server) start(ctx context.Context, background bool, recorded func() error) error {
	if s.external {
		return nil
	}
	if p := s.current(); p != nil && p.alive() {
		return fmt.Errorf("the %s runs already", s.name)
	}
	if s.prepare != nil {
		if err := s.prepare(ctx); err != nil {
			return s.failed(ctx, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Held over the start, so that whoever ends the stack sees either no process or this one.
	s.mu.Lock()
	started, err := s.program.start(background)
	if err == nil {
		s.process = started
	}
	s.mu.Unlock()
	if err != nil {
		return s.failed(ctx, err)
	}
	return recorded()
}

// await returns nil once the server is ready.
func (s *server) await(ctx context.Context) error {
	limit := readyTimeout
	if s.external {
		limit = externalTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("it was not ready within %v", limit))
	defer cancel()
	limited, end := context.WithCancelCause(limited)
	defer end(nil)
	err := poll(limited, func(ctx context.Context) error {
		if p := s.current(); p != nil && !p.alive() {
			end(errors.New("it ended by itself"))
		}
		return s.ready(ctx)
	})
	if err == nil && s.settled != nil {
		err = s.settled(ctx)
	}
	if err != nil {
		return s.failed(ctx, err)
	}
	return nil
}

// failed makes an error that says which server, why, and where to look.
func (s *server) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // the start was called off, or another server is the reason
	}
	if s.external {
		return fmt.Errorf("the %s at %s, which the environment names, cannot be used: %w",
			s.name, s.addr, err)
	}
	if p := s.current(); p != nil && !p.alive() && !listening(s.addr) {
		return fmt.Errorf("the %s did not start: %w\nthe last lines of %s:\n%s\n%s", s.name, err,
			s.program.log, indent(lastLines(s.program.log, logLines)),
			"payment-lab doctor checks this machine; --fresh starts with empty data")
	} else if p != nil && !p.alive() {
		return fmt.Errorf("the %s did not start: %w (%s)", s.name, errPortTaken, s.addr)
	}
	return fmt.Errorf("the %s did not start: %w", s.name, err)
}

func indent(lines string) string { return "  " + strings.ReplaceAll(lines, "\n", "\n  ") }

// stop ends the server in order, and with force when it takes too long or ctx ends. A server
// that was paused hears of it too.
func (s *server) stop(ctx context.Context) error {
	p := s.current()
	if p == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if ctx.Err() == nil {
		_ = p.signal(syscall.SIGTERM)
		_ = p.signal(syscall.SIGCONT)
		if p.wait(ctx) == nil {
			return nil
		}
	}
	return s.kill()
}

func (s *server) kill() error {
	p := s.current()
	if p == nil {
		return nil
	}
	if err := p.kill(); err != nil {
		return fmt.Errorf("end the %s, process %d: %w", s.name, p.id.PID, err)
	}
	return nil
}

// signal sends sig to a server that is ours and runs.
func (s *server) signal(sig os.Signal) error {
	p := s.current()
	if p == nil || !p.alive() {
		return fmt.Errorf("the %s is not running, or is not ours", s.name)
	}
	return p.signal(sig)
}
