package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"example.com/payment/internal/cli"
)

func (a *app) loadCommand() *cobra.Command {
	var f loadFlags
	var format string
	cmd := &cobra.Command{
		Use:   "load",
		Short: "send many orders, generated or from a file",
		Long: `Load sends generated orders, or with --file those of a file, and closes with how many
messages were acknowledged, failed and stayed unknown.

Generated orders. Each order is sent first as it is. A --repeat share is sent again with the same
serial number as a new message, an --alter share with the same serial number and another amount,
and beside a --malform share goes a message with the order's Key that is not valid, in one of
several ways. SHARE is 20% or 0.2; exactly that many are drawn, each kind for itself, and follow
their order after 0 to 200 others. The same --seed, --run-id and other flags send the same
messages, byte for byte; another --run-id gives other order IDs and serial numbers. With --rate
messages leave when they are due, however long others take, as long as workers are free.

Files. JSON lines hold the order message itself, with the amount in minor units. CSV has a header
that names order_id, serial_no, payer, payee, amount and currency, in any order, with decimal
amounts; every record is one line. A line that is not valid is reported with its number, and the
others are sent. Sending a file again is safe: its serial numbers are paid once.

The journal has two JSON lines for each message: one before it is sent, with status sending, and
one when its fate is known. They share n. After a crash, a message with the first line only may be
stored.

The first interrupt stops sending and waits for what is under way, the second ends at once.`,
		Example: `  order-producer load --orders 5000 --rate 500 --repeat 20% --alter 1% --malform 1%
  order-producer load --orders 100 --seed 7 --run-id trial --journal trial.jsonl -o json
  order-producer load --file orders.csv
  jq -c .order export.json | order-producer load --file - --format jsonl`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runLoad(cmd, f, format)
		},
	}
	f.add(cmd.Flags())
	cli.OutputFlag(cmd, &format, "text", "json", "jsonl")
	return cmd
}

func (a *app) runLoad(cmd *cobra.Command, f loadFlags, format string) (err error) {
	if err := f.check(cmd); err != nil {
		return cli.Usage(err)
	}
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	work, err := a.prepare(ctx, cmd, f)
	if err != nil {
		return cli.Usage(err)
	}
	defer func() { err = errors.Join(err, work.close()) }()
	return a.withBroker(cmd, cfg, func(s *sender) error {
		var log *journal
		if f.journal != "" {
			if log, err = createJournal(f.journal, work.summary.RunID); err != nil {
				return cli.Usage(err)
			}
		}
		counts := newTally()
		shown := a.watch(counts, work.total)
		l := loader{
			sender: s, workers: f.workers, pace: pace(f.rate), journal: log, tally: counts,
			skipped: func(err error) { shown.line(oneLine(err)) },
		}
		if work.name == "" {
			shown.line(fmt.Sprintf("seed %d, run ID %s", *work.summary.Seed, work.summary.RunID))
		}
		loadErr := l.run(ctx, work.messages)
		shown.close()
		summary := counts.summary(work.summary, ctx.Err() != nil)
		return errors.Join(log.close(), a.conclude(summary, format, loadErr))
	})
}

// work is what a load sends.
type work struct {
	// name is the file's; empty for generated orders.
	name     string
	messages source
	total    int // 0 when nobody knows
	summary  summary
	close    func() error
}

func (a *app) prepare(ctx context.Context, cmd *cobra.Command, f loadFlags) (work, error) {
	w := work{close: func() error { return nil }}
	if f.file == "" {
		p, err := f.plan(cmd)
		if err != nil {
			return w, err
		}
		w.messages, w.total = p.source(), p.messages()
		w.summary = summary{Seed: &p.seed, RunID: p.runID, Orders: p.orders}
		return w, nil
	}
	format, err := fileFormat(f.file, f.format)
	if err != nil {
		return w, err
	}
	w.name = f.file
	in := a.stdin
	if f.file == "-" {
		w.name = "standard input"
	} else {
		file, err := os.Open(f.file)
		if err != nil {
			return w, err
		}
		in, w.close = file, file.Close
	}
	w.messages = readFile(w.name, interruptible(ctx, in), format)
	return w, nil
}

// conclude prints the summary and finds the exit status.
func (a *app) conclude(s summary, format string, err error) error {
	if printErr := a.printSummary(s, format); printErr != nil {
		return errors.Join(err, printErr)
	}
	switch {
	case s.Interrupted:
		return cli.Exit(cli.ExitSignaled)
	case err != nil:
		return err
	case s.Failed+s.Unknown+s.InvalidLines > 0:
		return cli.Exit(cli.ExitFailed)
	}
	return nil
}

// pace limits the messages a second. The burst makes up for at most a tenth of a second in which
// the machine was busy with something else.
func pace(perSecond float64) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
}

// loader sends what a source gives.
type loader struct {
	sender  *sender
	workers int
	pace    *rate.Limiter
	journal *journal // nil for none
	tally   *tally
	// skipped is told about each line that is not sent.
	skipped func(err error)
}

// run sends until the source or the context ends, and waits for what is under way. The error is
// the source's or the journal's: what becomes of messages is counted, not returned.
func (l *loader) run(ctx context.Context, messages source) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	queue := make(chan message, l.workers)
	var group sync.WaitGroup
	for range l.workers {
		group.Go(func() {
			for m := range queue {
				if err := l.deliver(ctx, m); err != nil {
					stop(err)
				}
			}
		})
	}
	err := l.feed(ctx, messages, queue)
	close(queue)
	group.Wait()
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// feed hands the messages out when they are due.
func (l *loader) feed(ctx context.Context, messages source, queue chan<- message) error {
	for m, err := range messages {
		var line *lineError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &line):
			l.tally.invalidLine()
			l.skipped(line)
			continue
		case err != nil:
			return err
		}
		if err := l.pace.Wait(ctx); err != nil {
			return nil // the context has ended, and its owner knows why
		}
		select {
		case queue <- m:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// deliver sends one message. A message that cannot be written to the journal is not sent.
func (l *loader) deliver(ctx context.Context, m message) error {
	if ctx.Err() != nil {
		return nil
	}
	n, err := l.journal.begin(m)
	if err != nil {
		return err
	}
	d := l.sender.send(ctx, m.key, "", m.body)
	l.tally.add(m.kind, d)
	return l.journal.end(n, m, d)
}
