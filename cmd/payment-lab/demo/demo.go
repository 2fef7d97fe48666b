// Package demo tells the story of idempotent consumption on real servers: it runs the real
// programs, makes every kind of duplicate really happen, shows which step saw each, and counts
// at the end whether each message had exactly one outcome and each order at most one payment.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/audience"
	"example.com/payment/internal/devstack"
	"example.com/payment/internal/rocketmq"
)

const (
	// patience is how long the demo waits for one thing to happen before it calls it a failure.
	patience = 3 * time.Minute
	// againLimit is how long it waits for what may not happen, and is tried once more then.
	againLimit = 45 * time.Second
)

// Config says where the demo plays.
type Config struct {
	// Stack runs, with a proxy before its broker.
	Stack *devstack.Stack
	// Programs is the folder that holds payment-consumer and order-producer.
	Programs string
	Out      io.Writer
	// Begin is when the user began to wait.
	Begin time.Time
}

// show is one run of the demo.
type show struct {
	Config
	audience  *audience.Audience
	consumers map[string]*consumer
	// sent is every message that a broker has acknowledged to a producer, by its unique ID.
	sent map[string]sent
}

// Run tells the story. It returns an error when anything went otherwise than told. No process
// that it started is left when it returns.
func Run(ctx context.Context, cfg Config) (err error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	s := &show{Config: cfg, consumers: map[string]*consumer{}, sent: map[string]sent{}}
	defer func() { err = errors.Join(err, s.killConsumers()) }()
	s.audience, err = audience.Listen(ctx, cfg.Stack.Address(devstack.NameServer), "demo-audience")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.audience.Close()) }()
	if err := s.startConsumers(ctx, "A", "B"); err != nil {
		return err
	}
	for number, scene := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"orders for the first time", s.firstTime},
		{"the same request again, as a new message", s.requestAgain},
		{"the cache is emptied: step 2 answers", s.cacheFlush},
		{"send-time duplicate: the broker's answer is lost", s.lostAnswer},
		{"consume-time duplicate: kill -9 before the acknowledgement", s.killedConsumer},
		{"rebalance duplicate: a consumer joins and leaves", s.rebalance},
		{"the same serial with another amount", s.conflict},
		{"a message that cannot be read", s.malformed},
		{"an overdraft", s.overdraft},
	} {
		s.title(number+1, scene.title)
		if err := scene.play(ctx); err != nil {
			return fmt.Errorf("scene %d (%s): %w", number+1, scene.title, err)
		}
	}
	return s.close(ctx)
}

// close ends the consumers in order, so that nothing is under way, and counts.
func (s *show) close(ctx context.Context) error {
	s.title(10, "the account")
	for _, name := range []string{"A", "B"} {
		if err := s.stopConsumer(ctx, name); err != nil {
			return err
		}
	}
	totals, err := s.count(ctx)
	if err != nil {
		return err
	}
	audit := s.audit(ctx)
	s.table(totals)
	if audit != nil {
		return audit
	}
	if err := totals.check(s.sent); err != nil {
		return err
	}
	s.printf("\n%s audit=ok\n", totals)
	return nil
}

func (s *show) printf(format string, args ...any) { _, _ = fmt.Fprintf(s.Out, format, args...) }

// say prints a line of the story with the seconds since the beginning.
func (s *show) say(format string, args ...any) {
	s.printf("%6.1f s  %s\n", time.Since(s.Begin).Seconds(), fmt.Sprintf(format, args...))
}

func (s *show) title(number int, text string) { s.printf("\n%2d  %s\n", number, text) }

// program is the path of one of the programs.
func (s *show) program(name string) string { return filepath.Join(s.Programs, name) }

// CheckPrograms says whether the programs that the demo runs are there.
func CheckPrograms(folder string) error {
	return devstack.CheckPrograms(folder, "payment-consumer", "order-producer")
}

// until waits for something to become true, within the demo's patience.
func until(ctx context.Context, what string, holds func() bool) error {
	return devstack.Until(ctx, what, patience, holds)
}
