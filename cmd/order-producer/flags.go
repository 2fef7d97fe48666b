package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/payment/internal/order"
)

// Limits of a load.
const (
	maxOrders   = 100_000_000
	maxWorkers  = 1024
	maxRate     = 1_000_000
	maxAccounts = 100_000_000
	// maxName bounds what the names of orders and accounts begin with, so that a number and a
	// seed have room behind it.
	maxName = 24
)

// loadFlags are a load as it is typed.
type loadFlags struct {
	orders                    int
	repeats, alters, malforms fraction
	seed                      uint64
	runID                     string
	payers, payees            int
	payerPrefix, payeePrefix  string
	least, most, currency     string

	file, format string

	rate    float64
	workers int
	journal string
}

func (f *loadFlags) add(flags *pflag.FlagSet) {
	f.addGenerated(flags)
	flags.StringVar(&f.file, "file", "", "send the orders of `FILE` instead, - for standard input")
	flags.StringVar(&f.format, "format", "", "`FORMAT` of the file: jsonl or csv (default: by name)")
	flags.Float64Var(&f.rate, "rate", 0, "`MESSAGES` a second; 0 is as fast as possible")
	flags.IntVar(&f.workers, "workers", 32, "messages under way at once")
	flags.StringVar(&f.journal, "journal", "", "write each message and its fate to a new `FILE`")
}

// addGenerated adds what makes no sense for a file.
func (f *loadFlags) addGenerated(flags *pflag.FlagSet) {
	flags.IntVar(&f.orders, "orders", 1000, "generate `N` orders")
	flags.Var(&f.repeats, "repeat", "send this `SHARE` of them again, as new messages")
	flags.Var(&f.alters, "alter", "send this `SHARE` again with another amount")
	flags.Var(&f.malforms, "malform", "send a malformed message beside this `SHARE`")
	flags.Uint64Var(&f.seed, "seed", 0, "`SEED` of everything that is drawn (default: drawn)")
	flags.StringVar(&f.runID, "run-id", "", "`ID` in all order IDs and serials (default: minted)")
	flags.IntVar(&f.payers, "payers", 100, "draw payers from `N` accounts")
	flags.IntVar(&f.payees, "payees", 10, "draw payees from `N` accounts")
	flags.StringVar(&f.payerPrefix, "payer-prefix", "user-", "payers are `PREFIX` and 1, 2, 3 ...")
	flags.StringVar(&f.payeePrefix, "payee-prefix", "shop-", "payees are `PREFIX` and 1, 2, 3 ...")
	flags.StringVar(&f.least, "amount-min", "1", "least decimal `AMOUNT`")
	flags.StringVar(&f.most, "amount-max", "20", "greatest decimal `AMOUNT`")
	flags.StringVar(&f.currency, "currency", "CNY", "`CODE` of the currency, ISO 4217")
}

// check finds mistakes that both kinds of load can have.
func (f *loadFlags) check(cmd *cobra.Command) error {
	var generating loadFlags
	only := pflag.NewFlagSet("", pflag.ContinueOnError)
	generating.addGenerated(only)
	var wrong []string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if f.file != "" && only.Lookup(flag.Name) != nil {
			wrong = append(wrong, "--"+flag.Name)
		}
	})
	switch {
	case len(wrong) > 0:
		return fmt.Errorf("%s: not with --file, whose orders are sent as they are",
			strings.Join(wrong, ", "))
	case f.file == "" && f.format != "":
		return errors.New("--format goes with --file")
	case !(f.rate >= 0 && f.rate <= maxRate):
		return fmt.Errorf("--rate %v: must be from 0 to %d", f.rate, maxRate)
	}
	return between("workers", f.workers, 1, maxWorkers)
}

// plan turns the flags into what is generated, and draws what was left open.
func (f *loadFlags) plan(cmd *cobra.Command) (plan, error) {
	p := plan{
		seed: f.seed, runID: f.runID, orders: f.orders,
		payers: f.payers, payees: f.payees,
		payerPrefix: f.payerPrefix, payeePrefix: f.payeePrefix,
	}
	if !cmd.Flags().Changed("seed") {
		p.seed = uint64(mathrand.Uint32()) //nolint:gosec // any number will do
	}
	if f.runID == "" {
		p.runID = mintRunID(time.Now())
	}
	err := errors.Join(
		between("orders", f.orders, 1, maxOrders),
		between("payers", f.payers, 1, maxAccounts),
		between("payees", f.payees, 1, maxAccounts),
		name("run-id", p.runID), name("payer-prefix", f.payerPrefix),
		name("payee-prefix", f.payeePrefix),
		f.amounts(&p),
	)
	if err != nil {
		return plan{}, err
	}
	p.repeats = share(float64(f.repeats), f.orders)
	p.alters = share(float64(f.alters), f.orders)
	p.malforms = share(float64(f.malforms), f.orders)
	if p.alters > 0 && p.least == p.most {
		return plan{}, errors.New("--alter needs an --amount-max above --amount-min")
	}
	return p, nil
}

func (f *loadFlags) amounts(p *plan) error {
	currency, err := order.ParseCurrency(f.currency)
	if err != nil {
		return fmt.Errorf("--currency %q: %w", f.currency, err)
	}
	if p.least, err = order.ParseMoney(f.least, currency); err != nil {
		return fmt.Errorf("--amount-min %q: %w", f.least, err)
	}
	if p.most, err = order.ParseMoney(f.most, currency); err != nil {
		return fmt.Errorf("--amount-max %q: %w", f.most, err)
	}
	limit := order.Money{Minor: order.DefaultLimits().MaxMinor, Currency: currency}
	switch {
	case p.least.Minor < 1:
		return fmt.Errorf("--amount-min %q: must be at least one minor unit", f.least)
	case p.most.Minor < p.least.Minor:
		return fmt.Errorf("--amount-max %q: must not be below --amount-min %q", f.most, f.least)
	case p.most.Minor > limit.Minor:
		return fmt.Errorf("--amount-max %q: must be at most %s", f.most, limit)
	}
	return nil
}

func between(flag string, value, least, most int) error {
	if value < least || value > most {
		return fmt.Errorf("--%s %d: must be from %d to %d", flag, value, least, most)
	}
	return nil
}

var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)

func name(flag, value string) error {
	if len(value) > maxName || !nameShape.MatchString(value) {
		return fmt.Errorf("--%s %q: must be 1 to %d letters, digits, '_', '.', ':' or '-', a letter "+
			"or digit first", flag, value, maxName)
	}
	return nil
}

// mintRunID names a run so that the names of later runs sort behind it.
func mintRunID(now time.Time) string {
	return now.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
}

// fraction is a share of the whole, written 20% or 0.2.
type fraction float64

var _ pflag.Value = (*fraction)(nil)

// Set reads a fraction. A bare 1 is refused: it may be meant as one per cent or as all.
func (f *fraction) Set(text string) error {
	digits, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(digits, 64)
	if percent {
		value /= 100
	}
	switch {
	case err != nil || !(value >= 0) || math.Signbit(value):
		return errors.New("must be a share such as 20% or 0.2")
	case !percent && value == 1:
		return errors.New("may mean one per cent or all; write 1% or 100%")
	case value > 1:
		return errors.New("must be at most 100%; per cent are written 20%")
	}
	*f = fraction(value)
	return nil
}

// String writes a fraction as per cent.
func (f *fraction) String() string {
	return strconv.FormatFloat(float64(*f)*100, 'g', 6, 64) + "%"
}

// Type is what the help text calls the value.
func (f *fraction) Type() string { return "share" }
