package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/rocketmq"
)

// settlement is what replay and discard have in common: which messages, and how fast.
type settlement struct {
	selection
	dryRun bool
	rate   float64
}

func (s *settlement) flags(cmd *cobra.Command) {
	s.selection.flags(cmd)
	s.state = string(mysql.StateOpen)
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().Float64Var(&s.rate, "rate", 50, "at most `N` messages a second")
}

func (a *app) replayCommand() *cobra.Command {
	var s settlement
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "send messages again, through the normal path",
		Long: `Replay sends open messages to their topic again, as new messages with the same key
and body, and marks each as replayed once the broker has it. They are decided like any other: a
payment that was made meanwhile is not made twice, and what is still wrong comes back to the
quarantine and is open again. Name IDs, or select with flags. The exit status is 1 if any
message was not replayed.`,
		Example: "  payment-consumer quarantine replay 17 18\n" +
			"  payment-consumer quarantine replay --kind undecided --rate 10 --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.settle(cmd, args, s, func(
				cfg config.Consumer, q *mysql.Quarantine,
			) (step, func() error, error) {
				log, err := a.logger(cfg)
				if err != nil {
					return nil, nil, err
				}
				rocketmq.QuietClientLogs(log)
				producer, err := rocketmq.NewProducer(producerConfig(cfg, rocketmq.UniqueInstance()), log)
				if err != nil {
					return nil, nil, err
				}
				return replay(producer, q, cfg.RocketMQ.Tag), producer.Close, nil
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func (a *app) discardCommand() *cobra.Command {
	var s settlement
	cmd := &cobra.Command{
		Use:   "discard [ID...]",
		Short: "mark messages as looked at and not to be paid",
		Long: `Discard marks open messages as discarded; they stay in the table. Name IDs, or select
with flags. The exit status is 1 if any message was not discarded.`,
		Example: "  payment-consumer quarantine discard 17\n" +
			"  payment-consumer quarantine discard --reason bad_json --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.settle(cmd, args, s, func(
				_ config.Consumer, q *mysql.Quarantine,
			) (step, func() error, error) {
				discard := func(ctx context.Context, item mysql.Item) (string, error) {
					return "discarded", q.Resolve(ctx, item, mysql.StateDiscarded)
				}
				return discard, func() error { return nil }, nil
			})
		},
	}
	s.flags(cmd)
	return cmd
}

// step settles one message and says in a word what it did.
type step func(ctx context.Context, item mysql.Item) (string, error)

// replay sends first and marks afterwards: a crash in between sends the message once more, and
// a replay is free; the other way round it would be lost.
func replay(producer *rocketmq.Producer, q *mysql.Quarantine, tag string) step {
	return func(ctx context.Context, item mysql.Item) (string, error) {
		switch {
		case int64(len(item.Body)) < item.BodyBytes:
			return "", errors.New("only the beginning of its body was kept")
		case len(item.MessageKey) >= mysql.MaxKey:
			return "", errors.New("perhaps only the beginning of its key was kept")
		}
		receipt, err := producer.Send(ctx, rocketmq.Outgoing{
			Topic: item.Topic, Tag: tag, Key: item.MessageKey, Body: item.Body,
		})
		if err != nil {
			return "", err
		}
		err = q.Resolve(ctx, item, mysql.StateReplayed)
		if errors.Is(err, mysql.ErrNotOpen) {
			// It has come back before it could be marked, and is open, which is the truth; or somebody
			// else was faster, and it was sent twice, which pays once.
			return "sent as " + receipt.MessageID + ", and changed meanwhile: see list", nil
		}
		return "sent as " + receipt.MessageID, err
	}
}

func (a *app) settle(
	cmd *cobra.Command, args []string, s settlement,
	open func(config.Consumer, *mysql.Quarantine) (step, func() error, error),
) error {
	ids, err := parseIDs(args)
	if err != nil {
		return err
	}
	filter, err := s.filter()
	if err != nil {
		return err
	}
	selected := filter.Kind != "" || filter.Reason != "" || filter.Serial != ""
	switch {
	case len(ids) == 0 && !selected:
		return cli.Usagef("%s needs IDs, or --kind, --reason or --serial; see "+
			"payment-consumer quarantine list", cmd.CommandPath())
	case len(ids) > 0 && selected:
		return cli.Usagef("name IDs or select with flags, not both")
	case s.rate <= 0:
		return cli.Usagef("--rate %v: must be above 0", s.rate)
	}
	return a.withQuarantine(cmd,
		func(ctx context.Context, cfg config.Consumer, q *mysql.Quarantine) (err error) {
			run := settling{app: a, pace: rate.NewLimiter(rate.Limit(s.rate), 1), done: "settled"}
			if s.dryRun {
				run.pace, run.done = rate.NewLimiter(rate.Inf, 0), "would be settled"
				run.do = func(_ context.Context, i mysql.Item) (string, error) {
					return fmt.Sprintf("would be settled (%s, %s)", i.Kind, i.Reason), nil
				}
			} else {
				var closing func() error
				if run.do, closing, err = open(cfg, q); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, closing()) }()
			}
			if selected {
				if _, err := eachItem(ctx, q, filter, s.limit, func(i mysql.Item) error {
					return run.one(ctx, i)
				}); err != nil {
					return err
				}
			} else if err := run.named(ctx, q, ids); err != nil {
				return err
			}
			return run.summary()
		})
}

// settling is one run of replay or discard, message by message: they come with their bodies, and
// there may be many.
type settling struct {
	app             *app
	pace            *rate.Limiter
	do              step
	done            string
	settled, failed int
}

// named settles the messages with these IDs; one that is not there counts as failed.
func (s *settling) named(ctx context.Context, q *mysql.Quarantine, ids []int64) error {
	for _, id := range ids {
		item, err := q.Get(ctx, id)
		switch {
		case errors.Is(err, mysql.ErrNotOpen):
			s.fail(id, "not in quarantine")
		case err != nil:
			return err
		case item.State != mysql.StateOpen:
			s.fail(id, "is "+string(item.State)+" already")
		default:
			if err := s.one(ctx, item); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *settling) fail(id int64, why string) {
	s.failed++
	s.app.Printf("%d: %s\n", id, why)
}

// one settles one message and prints what became of it. The error is that of an interrupt.
func (s *settling) one(ctx context.Context, item mysql.Item) error {
	if err := s.pace.Wait(ctx); err != nil {
		return fmt.Errorf("interrupted after %d messages", s.settled+s.failed)
	}
	word, err := s.do(ctx, item)
	if err != nil {
		s.fail(item.ID, "FAILED: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil
	}
	s.settled++
	s.app.Printf("%d: %s\n", item.ID, word)
	return nil
}

func (s *settling) summary() error {
	s.app.Printf("%d %s, %d failed\n", s.settled, s.done, s.failed)
	if s.failed > 0 {
		return cli.Exit(cli.ExitFailed)
	}
	return nil
}
