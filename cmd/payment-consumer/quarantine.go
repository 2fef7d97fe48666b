package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/payment"
)

// quarantine is a quarantined message as it is printed. The body is the sender's, so text output
// quotes it.
type quarantine struct {
	ID         int64        `json:"id"`
	Kind       payment.Kind `json:"kind"`
	Reason     string       `json:"reason"`
	Detail     string       `json:"detail"`
	State      mysql.State  `json:"state"`
	Serial     string       `json:"serial_no,omitempty"`
	Topic      string       `json:"topic"`
	Key        string       `json:"key"`
	MessageID  string       `json:"message_id"`
	Origin     string       `json:"origin"`
	Attempt    int          `json:"attempt"`
	Deliveries int64        `json:"deliveries"`
	FirstSeen  time.Time    `json:"first_seen"`
	LastSeen   time.Time    `json:"last_seen"`
	Resolved   *time.Time   `json:"resolved,omitempty"`
	BodyBytes  int64        `json:"body_bytes"`
	Body       []byte       `json:"body_base64,omitempty"`
}

func summarize(i mysql.Item) quarantine {
	return quarantine{
		ID: i.ID, Kind: i.Kind, Reason: i.Reason, Detail: i.Detail, State: i.State,
		Serial: i.Serial, Topic: i.Topic, Key: i.MessageKey, MessageID: i.MessageID,
		Origin:  fmt.Sprintf("%s queue %d offset %d", i.Broker, i.QueueID, i.QueueOffset),
		Attempt: i.Attempt, Deliveries: i.Deliveries, FirstSeen: i.FirstSeenAt,
		LastSeen: i.LastSeenAt, Resolved: i.ResolvedAt, BodyBytes: i.BodyBytes,
	}
}

// why is the kind, and the reason if it says more.
func (q quarantine) why() string {
	if q.Reason == string(q.Kind) {
		return q.Reason
	}
	return fmt.Sprintf("%s (%s)", q.Kind, q.Reason)
}

func (a *app) quarantineCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "look at messages that could not become a payment, and settle them",
		Long: `The quarantine holds what was not to be paid and must not be lost: conflicts (a
serial or an order that was decided with other content), messages that could not be read, and
dead letters that stayed undecided. Each is open until it is replayed or discarded.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.listCommand(), a.showCommand(), a.replayCommand(), a.discardCommand())
	return cmd
}

// selection is which messages a command is about.
type selection struct {
	state, kind, reason, serial string
	limit                       int
	after                       int64
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.kind, "kind", "", "only `KIND`: conflict, rejected or undecided")
	cmd.Flags().StringVar(&s.reason, "reason", "", "only this `REASON`, as list prints it")
	cmd.Flags().StringVar(&s.serial, "serial", "", "only this `SERIAL` number")
	cmd.Flags().IntVar(&s.limit, "limit", s.limit, "at most `N` messages; 0 for all")
	cmd.Flags().Int64Var(&s.after, "after", 0, "only IDs above `ID`, to page on")
}

func (s *selection) filter() (mysql.Filter, error) {
	f := mysql.Filter{
		State: mysql.State(s.state), Kind: payment.Kind(s.kind), Reason: s.reason,
		Serial: s.serial, After: s.after,
	}
	switch f.Kind {
	case "", payment.KindConflict, payment.KindRejected, payment.KindUndecided:
	default:
		return f, cli.Usagef(
			"--kind %q: must be conflict, rejected or undecided", s.kind)
	}
	switch f.State {
	case "", mysql.StateOpen, mysql.StateReplayed, mysql.StateDiscarded:
	default:
		return f, cli.Usagef(
			"--state %q: must be open, replayed or discarded", s.state)
	}
	if s.limit < 0 {
		return f, cli.Usagef("--limit %d: must not be negative", s.limit)
	}
	return f, nil
}

// withQuarantine opens the database for one command.
func (a *app) withQuarantine(
	cmd *cobra.Command, fn func(ctx context.Context, cfg config.Consumer, q *mysql.Quarantine) error,
) (err error) {
	cfg, err := a.load(cmd, config.NeedMySQL)
	if err != nil {
		return err
	}
	db, err := a.database(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(cmd.Context(), cfg, mysql.NewQuarantine(db))
}

// pageSize is how many messages are read at once: each comes with its body.
const pageSize = 100

// eachItem calls fn for the messages that a filter selects, page by page, and for at most limit of
// them unless that is 0. It reports whether there are more.
func eachItem(
	ctx context.Context, q *mysql.Quarantine, f mysql.Filter, limit int,
	fn func(mysql.Item) error,
) (more bool, err error) {
	f.Limit = pageSize
	for n := 0; ; {
		page, err := q.List(ctx, f)
		if err != nil {
			return false, err
		}
		for _, item := range page {
			if limit > 0 && n == limit {
				return true, nil
			}
			if err := fn(item); err != nil {
				return false, err
			}
			f.After = item.ID
			n++
		}
		if len(page) < pageSize {
			return false, nil
		}
	}
}

func (a *app) listCommand() *cobra.Command {
	s := selection{limit: pageSize}
	var format string
	var groups bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list open messages, or count them by reason",
		Example: "  payment-consumer quarantine list --groups\n" +
			"  payment-consumer quarantine list --kind conflict -o jsonl",
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := s.filter()
			if err != nil {
				return err
			}
			return a.withQuarantine(cmd,
				func(ctx context.Context, _ config.Consumer, q *mysql.Quarantine) error {
					if groups {
						return a.printGroups(ctx, q, format)
					}
					var items []quarantine
					more, err := eachItem(ctx, q, filter, s.limit, func(i mysql.Item) error {
						items = append(items, summarize(i)) // without its body
						return nil
					})
					if err != nil {
						return err
					}
					if more {
						defer a.Warnf("there are more: list on with --after %d, or all with --limit 0\n",
							items[len(items)-1].ID)
					}
					return a.printItems(items, format)
				})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&s.state, "state", "open", "`STATE`: open, replayed or discarded")
	cmd.Flags().BoolVar(&groups, "groups", false, "count all messages by kind, reason and state")
	cli.OutputFlag(cmd, &format, "text", "json", "jsonl")
	return cmd
}

func (a *app) printGroups(ctx context.Context, q *mysql.Quarantine, format string) error {
	groups, err := q.Groups(ctx)
	if err != nil {
		return err
	}
	if format != "text" {
		return cli.PrintRecords(a.Streams, groups, format)
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "COUNT\tKIND\tREASON\tSTATE")
	for _, g := range groups {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", g.Count, g.Kind, g.Reason, g.State)
	}
	return table.Flush()
}

func (a *app) printItems(list []quarantine, format string) error {
	if format != "text" {
		return cli.PrintRecords(a.Streams, list, format)
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tKIND\tREASON\tSERIAL\tKEY\tBYTES\tCAME\tLAST SEEN (UTC)\tSTATE")
	for _, q := range list {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", q.ID, q.Kind, q.Reason,
			q.Serial, strconv.QuoteToASCII(q.Key), q.BodyBytes, q.Deliveries,
			q.LastSeen.Format(timeLayout), q.State)
	}
	return table.Flush()
}

func (a *app) showCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "show one message with its body",
		Long: `Show prints everything about one message. As text the body is quoted, so that nothing
a sender wrote reaches the terminal as a control character; -o json has it in base64.`,
		Args: cli.Arguments(1, 1, "the ID of a message, as list prints it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return a.withQuarantine(cmd,
				func(ctx context.Context, _ config.Consumer, q *mysql.Quarantine) error {
					item, err := q.Get(ctx, ids[0])
					if err != nil {
						return err
					}
					return a.printItem(item, format)
				})
		},
	}
	cli.OutputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) printItem(item mysql.Item, format string) error {
	q := summarize(item)
	if format == "json" {
		q.Body = item.Body
		return a.PrintJSON(q)
	}
	a.Printf("message %d is %s: %s\n  %s\n", q.ID, q.State, q.why(), q.Detail)
	a.Printf("  from    %s, %s, attempt %d\n", q.Topic, q.Origin, q.Attempt)
	a.Printf("  key     %s, message ID %s\n",
		strconv.QuoteToASCII(q.Key), strconv.QuoteToASCII(q.MessageID))
	a.Printf("  came    deliveries: %d, first %s, last %s UTC\n", q.Deliveries,
		q.FirstSeen.Format(timeLayout), q.LastSeen.Format(timeLayout))
	if int64(len(item.Body)) < q.BodyBytes {
		a.Printf("  body    %d bytes, cut to %d; it cannot be replayed\n", q.BodyBytes, len(item.Body))
	} else {
		a.Printf("  body    %d bytes\n", q.BodyBytes)
	}
	a.Printf("  %s\n", strconv.QuoteToASCII(string(item.Body)))
	return nil
}

func parseIDs(args []string) ([]int64, error) {
	ids := make([]int64, len(args))
	for i, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 64)
		if err != nil || id < 1 {
			return nil, cli.Usagef(
				"message ID %q: must be a number, as quarantine list prints it", arg)
		}
		ids[i] = id
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil // named twice, a message would be sent twice
}
