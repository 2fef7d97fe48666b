package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// How long results waits: for a silent backlog before it gives up, and for the last
// acknowledgements when it ends.
const (
	defaultPatience = 60 * time.Second
	closeTimeout    = 10 * time.Second
)

// resultFlags are which results to read, as it is typed.
type resultFlags struct {
	follow                 bool
	group, orderID, serial string
	patience               time.Duration
}

func (a *app) resultsCommand() *cobra.Command {
	var f resultFlags
	var format string
	cmd := &cobra.Command{
		Use:   "results",
		Short: "read what became of the orders",
		Long: `Results reads result messages and prints a line for each: all that the group has not read
yet, and with --follow also those that come, until an interrupt.

What was read is read: each result goes to one reader of the group, once (and again after a crash).
The results that --order-id or --serial leave out are read too. Another --group begins at the first
result that the broker still has.

With -o jsonl a line is the result message, in ASCII.`,
		Example: `  order-producer results --follow
  order-producer results --group look-again --serial PAY_100 -o jsonl`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.results(cmd, f, format)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on with results that come")
	flags.StringVar(&f.group, "group", "", "read as `GROUP` (default: rocketmq.results_group)")
	flags.StringVar(&f.orderID, "order-id", "", "print only results of this order `ID`")
	flags.StringVar(&f.serial, "serial", "", "print only results of this `SERIAL` number")
	flags.DurationVar(&f.patience, "patience", defaultPatience,
		"without --follow, give up when nothing has come for so `LONG`")
	cli.OutputFlag(cmd, &format, "text", "jsonl")
	return cmd
}

func (f resultFlags) check() error {
	if f.orderID != "" {
		if _, err := order.ParseID(f.orderID); err != nil {
			return fmt.Errorf("--order-id %q: %w", f.orderID, err)
		}
	}
	if f.serial != "" {
		if _, err := order.ParseSerial(f.serial); err != nil {
			return fmt.Errorf("--serial %q: %w", f.serial, err)
		}
	}
	if f.patience < time.Second {
		return fmt.Errorf("--patience %v: must be at least 1s", f.patience)
	}
	return nil
}

// wants says whether a result is to be printed.
func (f resultFlags) wants(r order.Result) bool {
	return (f.orderID == "" || f.orderID == string(r.OrderID)) &&
		(f.serial == "" || f.serial == string(r.Serial))
}

func (a *app) results(cmd *cobra.Command, f resultFlags, format string) (err error) {
	if err := f.check(); err != nil {
		return cli.Usage(err)
	}
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	if f.group == "" {
		f.group = cfg.RocketMQ.ResultsGroup
	}
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	rocketmq.QuietClientLogs(log)
	ctx := cmd.Context()
	err = findTopic(ctx, cfg, cfg.RocketMQ.ResultTopic, "PAYMENT_ROCKETMQ_RESULT_TOPIC")
	if err != nil {
		return err
	}
	end, err := newBacklog(ctx, cfg, f.group)
	if err != nil {
		return fmt.Errorf("%s (is the broker running?)", oneLine(err))
	}
	if !f.follow && end.empty() {
		_, _ = fmt.Fprintf(a.Stderr, "order-producer: group %s has read all results\n", f.group)
		return nil
	}
	return a.read(ctx, cfg, f, format, end, log)
}

// read prints results until the backlog is read or, to follow, until the context ends.
func (a *app) read(
	ctx context.Context, cfg config.Producer, f resultFlags, format string, end *backlog,
	log *zap.Logger,
) (err error) {
	reader, err := rocketmq.NewResultReader(rocketmq.ResultReaderConfig{
		NameServers: cfg.RocketMQ.NameServers, AccessKey: cfg.RocketMQ.AccessKey,
		SecretKey: cfg.RocketMQ.SecretKey.Reveal(),
		Group:     f.group, Topic: cfg.RocketMQ.ResultTopic,
	}, func(r order.Result, m rocketmq.ResultMeta) error {
		defer end.read(m)
		if !f.wants(r) {
			return nil
		}
		return a.printResult(r, m, format)
	}, log)
	if err != nil {
		return cli.Usage(err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, reader.Close(closing))
	}()
	if err := reader.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return cli.Exit(cli.ExitSignaled)
		}
		return err
	}
	if f.follow {
		<-ctx.Done() // this is how to end it
		return nil
	}
	if err := end.wait(ctx, f.patience); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return cli.Exit(cli.ExitSignaled)
	}
	return nil
}

func (a *app) printResult(r order.Result, m rocketmq.ResultMeta, format string) error {
	if format == "jsonl" {
		line, err := order.EncodeResult(r)
		if err != nil {
			return err
		}
		a.Printf("%s\n", inASCII(line))
		return nil
	}
	a.Printf("%s  %s\n", m.SentAt.UTC().Format("15:04:05.000"), describe(r))
	return nil
}

// describe is a result in one line. Only IDs have a form that was checked; the words of the
// service and the sender's message ID are quoted unless they are plain.
func describe(r order.Result) string {
	s := fmt.Sprintf("%-9s  order %s  serial %s", r.Outcome, r.OrderID, r.Serial)
	if r.Reason != "" {
		s += "  reason " + word(string(r.Reason))
	}
	if r.First != nil {
		s += "  first " + r.First.Outcome.String()
		if r.First.Reason != "" {
			s += " (" + word(string(r.First.Reason)) + ")"
		}
		if r.First.Serial != r.Serial && r.First.Serial != "" {
			s += " under " + string(r.First.Serial)
		}
		s += " at " + r.First.DecidedAt.UTC().Format("2006-01-02 15:04:05.000")
	}
	return s + fmt.Sprintf("  by %s  attempt %d  message %s",
		word(r.DecidedBy), r.Attempt, word(r.MessageID))
}

// word is text that may come from anybody, fit for a terminal and no longer than a line.
func word(s string) string {
	if _, err := order.ParseID(s); err == nil {
		return s
	}
	return strconv.QuoteToASCII(shortened(s))
}

// inASCII writes everything else in JSON as escapes: a terminal obeys some of it.
func inASCII(json []byte) []byte {
	out := make([]byte, 0, len(json))
	for _, r := range string(json) {
		switch {
		case r > 0xFFFF:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		case r > '~':
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, byte(r))
		}
	}
	return out
}
