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
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
)

// cacheRule is the invariant that is about the cache.
const cacheRule = "I8"

// maxCached is how many cached answers one audit holds in memory.
const maxCached = 2_000_000

// verdict is what audit prints as JSON.
type verdict struct {
	OK       bool            `json:"ok"`
	Findings []mysql.Finding `json:"findings"`
	// Note says what was not looked at, and why.
	Note string `json:"note,omitempty"`
}

func (a *app) auditCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "check the ledger's invariants on the live system",
		Long: `Audit checks, in one snapshot of the database:
  I1  money is conserved in every currency
  I2  a paid payment has two entries that sum to zero, any other has none
  I3  a balance is its opening plus its entries
  I5  one payment per serial, and at most one paid per order
  I8  the cache knows nothing that the database does not, and everything in it expires
It reads every row. The exit status is 0 when all hold, 1 when one is violated or the audit
could not be made in full.`,
		Example: "  payment-consumer audit\n  payment-consumer audit -o json | jq .findings\n" +
			"  payment-consumer audit -o prometheus >audit.prom.new; mv audit.prom.new audit.prom",
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd, config.NeedMySQL, config.NeedCache)
			if err != nil {
				return err
			}
			v, err := a.audit(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if err := a.printVerdict(v, format); err != nil {
				return err
			}
			if !v.OK {
				return cli.Exit(cli.ExitFailed)
			}
			return nil
		},
	}
	cli.OutputFlag(cmd, &format, "text", "json", "prometheus")
	return cmd
}

// audit reads the cache first and the database after it, so that a payment made in between is
// in the one that is read last.
func (a *app) audit(ctx context.Context, cfg config.Consumer) (v verdict, err error) {
	log, err := a.logger(cfg)
	if err != nil {
		return v, err
	}
	redis.QuietClientLogs(log)
	db, err := a.database(cfg)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.RefreshEpoch(ctx); err != nil {
		return v, err
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		db.WatchEpoch(watching) // a long scan outlives one reading
	}()
	defer func() { stop(); <-watched }()

	cache, err := openCache(cfg, db, redis.Hooks{}, log)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	cached, unread := readCache(ctx, cache)
	findings, err := db.Audit(ctx, cached)
	if err != nil {
		return v, err
	}
	return judge(findings, unread), nil
}

// judge says whether all is well. What could not be looked at is not.
func judge(findings []mysql.Finding, unread error) verdict {
	v := verdict{OK: true, Findings: findings}
	for i, f := range findings {
		if f.Rule == cacheRule {
			if unread == nil && f.Checked == 0 && f.Unverified > 0 {
				unread = fmt.Errorf("none of %d values verifies; are PAYMENT_CACHE_KEYS those of the "+
					"consumers?", f.Unverified)
			}
			if unread != nil {
				findings[i].Incomplete = true
				v.Note = cacheRule + " did not see the whole cache: " + unread.Error()
			}
		}
		v.OK = v.OK && f.Violations == 0 && !findings[i].Incomplete
	}
	return v
}

// readCache collects what the cache vouches for.
func readCache(ctx context.Context, cache *answers) (cached []mysql.Cached, err error) {
	err = cache.Scan(ctx, func(i redis.Inspection[payment.Answer]) error {
		if len(cached) >= maxCached {
			return fmt.Errorf("more than %d answers are cached", maxCached)
		}
		if i.Unknown {
			return errors.New(i.Problem)
		}
		c := mysql.Cached{Key: i.Key, Expires: i.Expires, Outdated: i.Outdated}
		if i.Verified {
			c.Known, c.Outcome = i.Record.Fingerprint, i.Record.Answer.Outcome
		}
		cached = append(cached, c)
		return nil
	})
	return cached, err
}

func (a *app) printVerdict(v verdict, format string) error {
	switch format {
	case "json":
		return a.PrintJSON(v)
	case "prometheus":
		return writeExposition(a.Stdout, v, time.Now())
	}
	for _, f := range v.Findings {
		state := "ok      "
		switch {
		case f.Violations > 0:
			state = "VIOLATED"
		case f.Incomplete:
			state = "UNKNOWN "
		}
		a.Printf("%s  %s  %s (%d checked", f.Rule, state, f.Text, f.Checked)
		if f.Outdated > 0 {
			a.Printf(", %d are misses since the ledger epoch was replaced", f.Outdated)
		}
		if f.Unverified > 0 {
			a.Printf(", %d do not verify and are not believed", f.Unverified)
		}
		if f.Violations > 0 {
			a.Printf(", %d violations", f.Violations)
		}
		a.Printf(")\n")
		for _, example := range f.Examples {
			a.Printf("    %s\n", example)
		}
	}
	if v.Note != "" {
		a.Printf("note: %s\n", v.Note)
	}
	return nil
}
