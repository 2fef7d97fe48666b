package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/failpoint"
)

// patience bounds what must happen soon on a busy machine.
const patience = 90 * time.Second

// Consumer is one process of the program under test.
type Consumer struct {
	rig     *Rig
	process *devstack.Process
	// Log is the file that it writes to.
	Log string
	// races is how many reports of the race detector in its log have been told.
	races int
}

// Launch starts a consumer and does not wait for it. env, NAME=value, is added to its environment.
func (r *Rig) Launch(env ...string) (*Consumer, error) {
	r.launched++
	log := filepath.Join(r.Folder, fmt.Sprintf("consumer-%03d.log", r.launched))
	_ = os.Remove(log) // an earlier run's
	all := append([]string{
		"PAYMENT_OPS_ADDRESS=127.0.0.1:0",
		"PAYMENT_LOG_LEVEL=debug",
		"PAYMENT_MYSQL_ADDRESS=" + r.DatabaseLink.Addr(),
		"PAYMENT_REDIS_ADDRESS=" + r.Cache.Addr(),
		"PAYMENT_ROCKETMQ_NAME_SERVERS=" + r.NameServer.Addr(),
		"PAYMENT_HOLD_PROBE_MIN_MS=10",
		"PAYMENT_HOLD_PROBE_MAX_MS=1000",
	}, env...)
	process, err := r.Stack.Run(r.Config.Consumer, log, r.ConsumerArgs, all...)
	if err != nil {
		return nil, err
	}
	c := &Consumer{rig: r, process: process, Log: log}
	r.consumers = append(r.consumers, c)
	return c, nil
}

// Start starts a consumer and waits until it is ready.
func (r *Rig) Start(ctx context.Context, env ...string) (*Consumer, error) {
	c, err := r.Launch(env...)
	if err != nil {
		return nil, err
	}
	return c, c.AwaitReady(ctx)
}

// Failing starts a consumer with a failpoint and does not wait: it may be dead before it is ready.
func (r *Rig) Failing(point failpoint.Point, action string, env ...string) (*Consumer, error) {
	return r.Launch(append(env, fmt.Sprintf("%s=%s=%s", failpoint.Variable, point, action))...)
}

// AwaitReady waits until the consumer says that it is ready.
func (c *Consumer) AwaitReady(ctx context.Context) error {
	err := Until(ctx, "a consumer to be ready", patience, func() bool {
		return !c.Alive() || c.Ready(ctx)
	})
	if err == nil && !c.Alive() {
		err = fmt.Errorf("the consumer ended by itself: %s", c.process.LastLine())
	}
	return err
}

// Alive says whether the process runs.
func (c *Consumer) Alive() bool { return c.process.Alive() }

// Ready asks the consumer whether it is ready.
func (c *Consumer) Ready(ctx context.Context) bool { return c.process.Ready(ctx) }

// Get asks the consumer for a page that it serves to operators.
func (c *Consumer) Get(ctx context.Context, path string) (body string, status int, err error) {
	return c.process.Page(ctx, path)
}

// Metric sums the samples of one metric whose line contains every one of the labels, such as
// `outcome="paid"`.
func (c *Consumer) Metric(ctx context.Context, name string, labels ...string) (float64, error) {
	text, _, err := c.Get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	return devstack.Metrics(text).Sum(name, labels...)
}

// Kill ends the consumer as kill -9 does, and counts it.
func (c *Consumer) Kill() error {
	if !c.Alive() {
		return errors.New("the consumer to kill is dead already")
	}
	if err := c.process.Kill(); err != nil {
		return err
	}
	c.rig.Journal.Fired("kill", "at a random moment")
	return nil
}

// AwaitKilled waits until the consumer has killed itself at a failpoint, and counts it. What its
// log says, and the signal that ended it, are the proof.
func (c *Consumer) AwaitKilled(ctx context.Context, point failpoint.Point) error {
	if err := Until(ctx, "the failpoint "+string(point), patience, func() bool {
		return !c.Alive()
	}); err != nil {
		return fmt.Errorf("%w; the consumer says: %s", err, c.process.LastLine())
	}
	text, err := os.ReadFile(c.Log)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "failpoint "+string(point)+" kill") {
		return fmt.Errorf("the consumer ended, and not at %s: %s", point, c.process.LastLine())
	}
	if exit := c.process.Exit(); exit == nil || !strings.Contains(exit.Error(), "killed") {
		return errors.Join(fmt.Errorf("the consumer at %s was not killed", point), exit)
	}
	c.rig.Journal.Fired("kill", string(point))
	return nil
}

// AwaitRefusal waits until a consumer has ended by itself, as one that cannot do its work, and
// returns what it says is the reason: the lines that an operator gets to see last.
func (c *Consumer) AwaitRefusal(ctx context.Context) (reasons []string, err error) {
	if err := Until(ctx, "the consumer to give up", patience, func() bool {
		return !c.Alive()
	}); err != nil {
		return nil, err
	}
	if c.process.Exit() == nil {
		return nil, errors.New("the consumer ended as if all were well")
	}
	text, err := os.ReadFile(c.Log)
	for line := range strings.Lines(string(text)) {
		if reason, found := strings.CutPrefix(line, "payment-consumer: "); found {
			reasons = append(reasons, strings.TrimSpace(reason))
		}
	}
	return reasons, err
}

// Stop asks the consumer to end in order, which is exit status 0.
func (c *Consumer) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.process.Stop(ctx)
}

// Pause stops the process where it is, until Continue.
func (c *Consumer) Pause() error { return c.process.Signal(syscall.SIGSTOP) }

// Continue lets a paused process go on.
func (c *Consumer) Continue() error { return c.process.Signal(syscall.SIGCONT) }

// Says reports whether the log contains a text.
func (c *Consumer) Says(text string) bool {
	log, err := os.ReadFile(c.Log)
	return err == nil && strings.Contains(string(log), text)
}

// Alive returns the consumers that run.
func (r *Rig) Alive() []*Consumer {
	var alive []*Consumer
	for _, c := range r.consumers {
		if c.Alive() {
			alive = append(alive, c)
		}
	}
	return alive
}

// KillAll ends every consumer; these kills are tidying up and count for nothing.
func (r *Rig) KillAll() error {
	var problems []error
	for _, c := range r.Alive() {
		problems = append(problems, c.process.Kill())
	}
	return errors.Join(problems...)
}
