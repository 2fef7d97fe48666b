package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
)

// timeLayout is how people are shown times: UTC, to the microsecond, as in the database.
const timeLayout = "2006-01-02 15:04:05.000000"

// story is everything known about one serial.
type story struct {
	Serial     string       `json:"serial_no"`
	Database   mysql.Trace  `json:"database"`
	Cache      cachedAnswer `json:"cache"`
	Quarantine []quarantine `json:"quarantine"`
}

// cachedAnswer is what the cache holds of a serial.
type cachedAnswer struct {
	Present  bool            `json:"present"`
	Verified bool            `json:"verified"`
	Problem  string          `json:"problem,omitempty"`
	Expires  string          `json:"expires_in,omitempty"`
	Answer   *payment.Answer `json:"answer,omitempty"`
}

func (a *app) whyCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "why SERIAL",
		Short: "tell everything known about one serial number",
		Long: `Why looks a payment serial number up in the database, the cache and the quarantine,
and says in plain words what became of it. The exit status is 1 when nothing is known.`,
		Example: "  payment-consumer why PAY_100",
		Args:    cli.Arguments(1, 1, "one serial number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			serial, err := order.ParseSerial(args[0])
			if err != nil {
				return cli.Usagef("serial number %q: %w", args[0], err)
			}
			cfg, err := a.load(cmd, config.NeedMySQL, config.NeedCache)
			if err != nil {
				return err
			}
			s, err := a.investigate(cmd.Context(), cfg, serial)
			if err != nil {
				return err
			}
			if format == "json" {
				err = a.PrintJSON(s)
			} else {
				a.tell(s)
			}
			if err == nil && !s.known() {
				return cli.Exit(cli.ExitFailed)
			}
			return err
		},
	}
	cli.OutputFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) investigate(
	ctx context.Context, cfg config.Consumer, serial order.Serial,
) (s story, err error) {
	log, err := a.logger(cfg)
	if err != nil {
		return s, err
	}
	redis.QuietClientLogs(log)
	db, err := a.database(cfg)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.RefreshEpoch(ctx); err != nil {
		return s, err
	}
	s.Serial = string(serial)
	if s.Database, err = db.Trace(ctx, string(serial)); err != nil {
		return s, err
	}
	items, err := mysql.NewQuarantine(db).List(ctx, mysql.Filter{Serial: string(serial), Limit: 100})
	if err != nil {
		return s, err
	}
	for _, item := range items {
		s.Quarantine = append(s.Quarantine, summarize(item))
	}
	cache, err := openCache(cfg, db, redis.Hooks{}, log)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	s.Cache = inspect(ctx, cache, serial)
	return s, nil
}

// inspect asks the cache. That it is down is a thing to tell, not a failure: the rest is known.
func inspect(ctx context.Context, cache *answers, serial order.Serial) cachedAnswer {
	i, err := cache.Inspect(ctx, idem.Key(serial))
	if err != nil {
		return cachedAnswer{Problem: "the cache cannot be asked: " + err.Error()}
	}
	c := cachedAnswer{Present: i.Present, Verified: i.Verified, Problem: i.Problem}
	if i.Present && i.Expires {
		c.Expires = i.TTL.Round(time.Second).String()
	}
	if i.Verified {
		c.Answer = &i.Record.Answer
	}
	return c
}

func (s story) known() bool {
	return s.Database.Payment != nil || s.Cache.Present || len(s.Quarantine) > 0
}

func (a *app) tell(s story) {
	a.tellPayment(s)
	a.tellCache(s.Cache)
	if len(s.Quarantine) == 0 {
		a.Printf("quarantine: nothing under this serial.\n")
	}
	for _, q := range s.Quarantine {
		a.Printf("quarantine: message %d, %s, %s; deliveries: %d, the last at %s UTC.\n  %s\n",
			q.ID, q.why(), q.State, q.Deliveries, q.LastSeen.Format(timeLayout), q.Detail)
	}
}

func (a *app) tellPayment(s story) {
	p := s.Database.Payment
	if p == nil {
		a.Printf("%s is not decided: the database has no payment with this serial.\n", s.Serial)
		return
	}
	amount := order.Money{Minor: p.AmountMinor, Currency: order.Currency(p.Currency)}
	request := fmt.Sprintf("%s from %s to %s for order %s", amount, p.Payer, p.Payee, p.OrderID)
	at := p.CreatedAt.Format(timeLayout)
	switch p.Status {
	case order.Paid.String():
		a.Printf("%s is paid: %s, at %s UTC.\n", s.Serial, request, at)
	case order.Declined.String():
		a.Printf("%s is declined (%s): %s, at %s UTC. It stays declined; the payer tries again "+
			"under a new serial.\n", s.Serial, p.Reason, request, at)
	default:
		a.Printf("%s repeats a paid order: %s, at %s UTC.", s.Serial, request, at)
		if p.FirstSerial != nil {
			a.Printf(" Serial %s had paid it.", *p.FirstSerial)
		}
		a.Printf("\n")
	}
	for _, e := range s.Database.Entries {
		amount.Minor = e.AmountMinor
		a.Printf("ledger: %s %s\n", e.AccountID, amount)
	}
	for _, other := range s.Database.Siblings {
		a.Printf("the same order: serial %s is %s.\n", other.SerialNo, other.Status)
	}
}

func (a *app) tellCache(c cachedAnswer) {
	switch {
	case c.Verified && c.Expires == "":
		a.Printf("cache: answers %q to the next duplicate, and never expires, which it must.\n",
			c.Answer.Outcome)
	case c.Verified:
		a.Printf("cache: answers %q to the next duplicate, for another %s.\n",
			c.Answer.Outcome, c.Expires)
	case c.Present:
		a.Printf("cache: holds a value that is not believed: %s.\n", c.Problem)
	case c.Problem != "":
		a.Printf("cache: %s.\n", c.Problem)
	default:
		a.Printf("cache: holds nothing; the next duplicate is answered by the database.\n")
	}
}
