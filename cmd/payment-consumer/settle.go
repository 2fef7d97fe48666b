package main

import (
	"context"
	"errors"
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
				producer, err := rocketmq.NewProducer(producerConfig(cfg, instanceName()), log)
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
		if int64(len(item.Body)) < item.BodyBytes {
			return "", errors.New("only the beginning of its body was kept")
		}
		receipt, err := producer.Send(ctx, rocketmq.Outgoing{
			Topic: item.Topic, Tag: tag, Key: item.MessageKey, Body: item.Body,
		})
		if err != nil {
			return "", err
		}
		err = q.Resolve(ctx, item, mysql.StateReplayed)
		if errors.Is(err, mysql.ErrNotOpen) {
			// Sent, and back before it could be marked: it is open, which is the truth.
			return "sent as " + receipt.MessageID + ", and it came back", nil
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
			items, failed, err := a.collect(ctx, q, ids, filter)
			if err != nil {
				return err
			}
			if s.dryRun {
				return a.rehearse(items, failed)
			}
			do, closing, err := open(cfg, q)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closing()) }()
			return a.perform(ctx, items, failed, rate.NewLimiter(rate.Limit(s.rate), 1), do)
		})
}

// collect reads the messages that were asked for; one that is not there counts as failed.
func (a *app) collect(
	ctx context.Context, q *mysql.Quarantine, ids []int64, filter mysql.Filter,
) (items []mysql.Item, failed int, err error) {
	if len(ids) == 0 {
		items, err = q.List(ctx, filter)
		return items, 0, err
	}
	for _, id := range ids {
		item, err := q.Get(ctx, id)
		switch {
		case errors.Is(err, mysql.ErrNotOpen):
			a.Printf("%d: not in quarantine\n", id)
			failed++
		case err != nil:
			return nil, 0, err
		case item.State != mysql.StateOpen:
			a.Printf("%d: is %s already\n", id, item.State)
			failed++
		default:
			items = append(items, item)
		}
	}
	return items, failed, nil
}

func (a *app) rehearse(items []mysql.Item, failed int) error {
	for _, item := range items {
		a.Printf("%d: would be settled (%s, %s)\n", item.ID, item.Kind, item.Reason)
	}
	return a.summary(len(items), failed, "would be settled")
}

// perform settles one message after the other and prints what became of each.
func (a *app) perform(
	ctx context.Context, items []mysql.Item, failed int, pace *rate.Limiter, do step,
) error {
	settled := 0
	for n, item := range items {
		if err := pace.Wait(ctx); err != nil {
			failed += len(items) - n
			break
		}
		word, err := do(ctx, item)
		if err != nil {
			failed++
			a.Printf("%d: FAILED: %s\n", item.ID, strings.ReplaceAll(err.Error(), "\n", "; "))
			continue
		}
		settled++
		a.Printf("%d: %s\n", item.ID, word)
	}
	return a.summary(settled, failed, "settled")
}

func (a *app) summary(settled, failed int, word string) error {
	a.Printf("%d %s, %d failed\n", settled, word, failed)
	if failed > 0 {
		return cli.Exit(cli.ExitFailed)
	}
	return nil
}
