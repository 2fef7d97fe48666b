package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
)

// archiving is one run of the command: what is old, and how gently it is moved.
type archiving struct {
	days, batch int
	pause       time.Duration
	limit       int64
}

func (a *app) archiveCommand() *cobra.Command {
	var run archiving
	cmd := &cobra.Command{
		Use:   "archive --days N",
		Short: "move old entries and settled messages out of the way",
		Long: `Archive moves what is older than a number of days into archive tables, in small
transactions, while the consumers work: the ledger entries of payments, and the messages in
quarantine that were replayed or discarded. A payment itself stays where it is, so that its
serial number and its order stay taken for ever, and the audit counts what was archived.

It connects as archive.user, the only user that may delete, and has no right to a payment or a
balance; payment-consumer migrate grants it its rights when migrate.archive_user names it. It may
be interrupted at any time, and run again.`,
		Example: "  payment-consumer archive --days 400\n" +
			"  payment-consumer archive --days 90 --pause 1s --limit 100000",
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.archive(cmd, run) },
	}
	cmd.Flags().IntVar(&run.days, "days", 0, "move what is older than `N` days (1 to 36500)")
	cmd.Flags().IntVar(&run.batch, "batch", mysql.DefaultArchiveBatch,
		fmt.Sprintf("look at `N` rows in one transaction (1 to %d)", mysql.MaxArchiveBatch))
	cmd.Flags().DurationVar(&run.pause, "pause", 20*time.Millisecond,
		"wait this `TIME` between two transactions")
	cmd.Flags().Int64Var(&run.limit, "limit", 0, "move about `N` rows at most (0: all that are old)")
	return cmd
}

func (r archiving) check() error {
	switch {
	case r.days < 1 || r.days > 36500:
		return cli.Usagef("--days %d: must be 1 to 36500", r.days)
	case r.batch < 1 || r.batch > mysql.MaxArchiveBatch:
		return cli.Usagef("--batch %d: must be 1 to %d", r.batch, mysql.MaxArchiveBatch)
	case r.pause < 0:
		return cli.Usagef("--pause %v: must not be negative", r.pause)
	case r.limit < 0:
		return cli.Usagef("--limit %d: must not be negative", r.limit)
	default:
		return nil
	}
}

func (a *app) archive(cmd *cobra.Command, run archiving) (err error) {
	if err := run.check(); err != nil {
		return err
	}
	cfg, err := a.load(cmd, config.NeedArchive)
	if err != nil {
		return err
	}
	dbConfig, err := archiveConfig(cfg)
	if err != nil {
		return err
	}
	db, err := mysql.Open(dbConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	before := time.Now().AddDate(0, 0, -run.days)
	archive := mysql.NewArchive(db, before, run.batch)
	entries, err := all(cmd.Context(), run, archive.Entries, mysql.EntryKey{})
	a.Printf("entries: %d of %d moved\n", entries.Rows, entries.Seen)
	if err != nil {
		return interrupted(cmd.Context(), err)
	}
	messages, err := all(cmd.Context(), run, archive.Quarantine, 0)
	a.Printf("messages in quarantine: %d of %d moved\n", messages.Rows, messages.Seen)
	return interrupted(cmd.Context(), err)
}

// interrupted is the exit status of a run that a signal ended. Nothing is lost or half done by it.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return cli.Exit(cli.ExitSignaled)
	}
	return err
}

// all takes step after step until the end of the table, the limit, or the end of the context, which
// is looked at between two steps: one that has begun is finished.
func all[K any](
	ctx context.Context, run archiving,
	step func(context.Context, K) (K, mysql.Moved, error), from K,
) (total mysql.Moved, err error) {
	for {
		next, moved, err := step(context.WithoutCancel(ctx), from)
		total.Rows, total.Seen = total.Rows+moved.Rows, total.Seen+moved.Seen
		if err != nil || moved.Done || run.limit > 0 && total.Rows >= run.limit {
			return total, err
		}
		from = next
		select {
		case <-time.After(run.pause):
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return total, ctx.Err()
		}
	}
}
