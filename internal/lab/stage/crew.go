package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/textbook"
)

// Bounds of the crew.
const (
	maxConsumers = 4
	keptDead     = 6 * time.Second // how long a dead consumer is still shown
	// textbookPatience is how long a consumer out of a textbook may take to end.
	textbookPatience = 10 * time.Second
)

// consumer is one consumer process.
type consumer struct {
	name    string
	process *devstack.Process
	fate    string    // how it ended, if somebody has ended it
	ended   time.Time // when
}

func (c *consumer) alive() bool { return c.process.Alive() }

// crew is the consumers, in the order in which they were started.
type crew struct {
	mu      sync.Mutex
	all     []*consumer
	started int
}

// living returns those that run.
func (c *crew) living() []*consumer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var living []*consumer
	for _, one := range c.all {
		if one.alive() && one.fate == "" {
			living = append(living, one)
		}
	}
	return living
}

// shown returns those that run, and those that have ended a moment ago.
func (c *crew) shown() []consumer {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.all {
		if one.ended.IsZero() && !one.alive() {
			one.ended = time.Now()
			if one.fate == "" {
				one.fate = lab.Ended
			}
		}
	}
	c.all = slices.DeleteFunc(c.all, func(one *consumer) bool {
		return !one.ended.IsZero() && time.Since(one.ended) > keptDead
	})
	shown := make([]consumer, len(c.all))
	for i, one := range c.all {
		shown[i] = *one
	}
	return shown
}

// free is a name that nobody has, and the number of the next start.
func (c *crew) free() (name string, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
	for letter := 'A'; ; letter++ {
		taken := slices.ContainsFunc(c.all, func(one *consumer) bool {
			return one.name == string(letter) && one.alive()
		})
		if !taken {
			return string(letter), c.started
		}
	}
}

func (c *crew) join(one *consumer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A new one takes the place of a dead one of its name.
	c.all = slices.DeleteFunc(c.all, func(old *consumer) bool { return old.name == one.name })
	c.all = append(c.all, one)
	slices.SortStableFunc(c.all, func(a, b *consumer) int { return int(a.name[0]) - int(b.name[0]) })
}

// leave notes how a consumer is about to end.
func (c *crew) leave(one *consumer, fate string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one.fate = fate
}

func (c *crew) killAll() error {
	var problems []error
	for _, one := range c.living() {
		c.leave(one, lab.Killed)
		problems = append(problems, one.process.Kill())
	}
	return errors.Join(problems...)
}

// launch starts a consumer in the order of writes that is in force.
func (s *Stage) launch() (*consumer, error) {
	name, number := s.crew.free()
	program, args := s.program("payment-consumer"), []string(nil)
	if o := s.writes(); o != textbook.Right {
		program, args = s.Self, []string{"exhibit", string(o)}
	}
	process, err := s.Stack.Run(program, s.logFile(fmt.Sprintf("consumer-%s-%d", name, number)), args,
		"PAYMENT_OPS_ADDRESS=127.0.0.1:0",
		"PAYMENT_ROCKETMQ_GROUP="+s.consumerGroup(),
		"PAYMENT_MYSQL_ADDRESS="+s.database.Addr(),
		// The page says what the cache and the database know, also on a busy machine, and a race
		// holds transactions up until the last racer is there.
		"PAYMENT_REDIS_TIMEOUT_MS=5000",
		"PAYMENT_MYSQL_READ_TIMEOUT_SECONDS=15",
		"PAYMENT_HOLD_PROBE_MIN_MS=50",
		"PAYMENT_HOLD_PROBE_MAX_MS=1000",
	)
	if err != nil {
		return nil, err
	}
	one := &consumer{name: name, process: process}
	s.State.Named(process.PID(), name)
	s.crew.join(one)
	return one, nil
}

// hire starts consumers and waits until they are ready.
func (s *Stage) hire(ctx context.Context, n int) error {
	var started []*consumer
	for range n {
		one, err := s.launch()
		if err != nil {
			return err
		}
		started = append(started, one)
	}
	for _, one := range started {
		err := devstack.Until(ctx, "consumer "+one.name+" to be ready", patience, func() bool {
			return !one.alive() || one.process.Ready(ctx)
		})
		if err == nil && !one.alive() {
			err = fmt.Errorf("consumer %s ended by itself: %s", one.name, one.process.LastLine())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dismiss lets consumers end in order, side by side. Those out of a textbook are payment-lab
// itself, which says by its status that it was interrupted, and are not waited for as long.
func (s *Stage) dismiss(ctx context.Context, leaving []*consumer) error {
	textbooks, limit := s.writes() != textbook.Right, patience
	if textbooks {
		limit = textbookPatience
	}
	ending, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	problems := make([]error, len(leaving))
	var group sync.WaitGroup
	for i, one := range leaving {
		s.crew.leave(one, lab.Ended)
		group.Go(func() { problems[i] = one.process.Stop(ending) })
	}
	group.Wait()
	if textbooks {
		return ctx.Err()
	}
	return errors.Join(problems...)
}

// writes is the order of writes in force.
func (s *Stage) writes() textbook.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order
}
