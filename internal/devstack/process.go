package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// program is what is needed to start one server.
type program struct {
	path string
	args []string
	// env is added to the environment of this process, and without is taken from it.
	env, without []string
	dir          string
	// input is the file that the program reads as its standard input, if any.
	input string
	// log receives the standard output and error of the program.
	log string
}

// ProcessID names one run of a program. A number alone does not: the system uses it again.
type ProcessID struct {
	PID int `json:"pid"`
	// Started is when the process began, in the words of the operating system.
	Started string `json:"started"`
}

// process is a server process: a child of this one, or the child of an earlier payment-lab.
type process struct {
	id     ProcessID
	handle *os.Process
	// done is closed when the process has ended. For an adopted process it is nil, because only
	// a parent is told.
	done chan struct{}
	// exit is nil for status 0; it may be read once done is closed.
	exit error
}

// start runs p. Unless it is to live on in the background, the child is killed by the kernel
// when this process ends in whatever way, where the system offers that.
func (p program) start(background bool) (*process, error) {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(p.path, p.args...)
	if p.input != "" {
		input, err := os.Open(p.input)
		if err != nil {
			return nil, err
		}
		defer func() { _ = input.Close() }()
		cmd.Stdin = input
	}
	cmd.Env = append(slices.DeleteFunc(os.Environ(), p.unwanted), p.env...)
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ChildAttributes(background)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.path, err)
	}
	// Asked before anybody waits for the child, so that its number cannot be another's yet. A
	// child that has ended already has no start time, and nobody needs it any more.
	started, _ := startTime(cmd.Process.Pid)
	child := &process{
		id:     ProcessID{PID: cmd.Process.Pid, Started: started},
		handle: cmd.Process,
		done:   make(chan struct{}),
	}
	go func() {
		defer close(child.done)
		child.exit = cmd.Wait()
	}()
	return child, nil
}

func (p program) unwanted(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains(p.without, name)
}

// run starts p and waits for its end, which must be status 0.
func (p program) run(ctx context.Context) error {
	child, err := p.start(false)
	if err != nil {
		return err
	}
	if err := child.wait(ctx); err != nil {
		return errors.Join(err, child.kill())
	}
	if child.exit != nil {
		return fmt.Errorf("%s: %w; the last lines of %s:\n%s",
			p.path, child.exit, p.log, lastLines(p.log, logLines))
	}
	return nil
}

// adopt finds a process that an earlier payment-lab started, and is nil when it has ended. The
// handle is taken before the identity is checked: on Linux it holds on to the process itself,
// so that a signal cannot reach another one which got the same number in between.
func adopt(id ProcessID) *process {
	if id.PID <= 0 || id.Started == "" {
		return nil
	}
	handle, err := os.FindProcess(id.PID)
	if err != nil {
		return nil
	}
	if started, err := startTime(id.PID); err != nil || started != id.Started {
		_ = handle.Release()
		return nil
	}
	return &process{id: id, handle: handle}
}

// alive reports whether the process has not ended yet.
func (p *process) alive() bool {
	if p.done != nil {
		select {
		case <-p.done:
			return false
		default:
			return true
		}
	}
	started, err := startTime(p.id.PID)
	return err == nil && started == p.id.Started
}

// signal sends sig; a process that has ended is no error.
func (p *process) signal(sig os.Signal) error {
	if !p.alive() {
		return nil
	}
	err := p.handle.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// wait returns nil once the process has ended, or the context's error.
func (p *process) wait(ctx context.Context) error {
	if p.done != nil {
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			if !p.alive() { // it has ended too, while nobody looked
				return nil
			}
			return ctx.Err()
		}
	}
	return poll(ctx, func(context.Context) error {
		if p.alive() {
			return fmt.Errorf("process %d has not ended", p.id.PID)
		}
		return nil
	})
}

// kill ends the process at once and waits until it is gone. Nothing survives SIGKILL, so the
// wait is short; its limit is for a process that the kernel cannot end, as on a hung disk.
func (p *process) kill() error {
	if err := p.signal(os.Kill); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	return p.wait(ctx)
}

// over reports whether ctx has ended, or is about to: a dial gives up a moment earlier.
func over(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && !time.Now().Before(deadline)
}

// poll calls ready until it returns nil or ctx ends; then it returns the last reason.
func poll(ctx context.Context, ready func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		// An attempt that the end of ctx cut short says less than the one before it.
		if last == nil || !over(ctx) {
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}
