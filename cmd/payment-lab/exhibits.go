package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/cmd/payment-lab/exhibit"
	"example.com/payment/internal/bench/probe"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/cases"
	"example.com/payment/internal/faults/mutants"
	"example.com/payment/internal/order"
	"example.com/payment/internal/textbook"
)

// shown is an order of writes, what is to be learnt from it, and the invariant that it violates
// in which case: a commit that fails, a race, or a request that is sent again.
type shown struct {
	order     textbook.Order
	lesson    string
	cases     []string
	invariant string
}

func allShown() []shown {
	return []shown{
		{textbook.Right, "The database decides, the cache comes last: slow like this, and correct.",
			[]string{"F21", "F35", "F41"}, ""},
		{textbook.CacheFirst, "The cache is written before COMMIT. A commit that fails leaves \"paid\" " +
			"in the cache, the next delivery believes it, and the payment is lost.",
			[]string{"F21"}, "I4"},
		{textbook.CheckThenAct, "A lookup decides, and no unique key. Consumers that look at the same " +
			"moment all find nothing, and all pay.", []string{"F35"}, "I5"},
		{textbook.MessageID, "The message ID is the token. The same request sent again as a new " +
			"message has another ID, and is paid again.", []string{"F41"}, "I5"},
	}
}

func (l *lab) exhibit() *cobra.Command {
	var bench bool
	cmd := &cobra.Command{
		Use:    "exhibit ORDER",
		Short:  "Consume with an order of writes out of a textbook",
		Long:   "Reads the same variables as payment-consumer. Never use it for payments.",
		Hidden: true, // payment-lab exhibits starts it
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts := exhibit.Options{Order: textbook.Order(args[0]), Bench: bench}
			if bench {
				log := probe.FromEnv()
				opts.Committed = func(s order.Serial) { log.Committed(string(s), time.Now()) }
			}
			return exhibit.Run(cmd.Context(), opts, os.Environ(), os.Stderr)
		},
	}
	cmd.Flags().BoolVar(&bench, "bench", false, "send no results, to be measured")
	return cmd
}

func (l *lab) exhibits() *cobra.Command {
	var s suiteRun
	var names []string
	cmd := &cobra.Command{
		Use:   "exhibits",
		Short: "Show three orders of writes that tutorials teach, and how they fail",
		Long: `Runs a consumer as tutorials write it (package internal/textbook) under cases of the fault
suite: with the right order of writes, which must pass three of them, and with each of three wrong
ones, which must fail in one. The exit status is 0 if they do. docs/exhibits explains them.`,
		Example: "  payment-lab exhibits\n  payment-lab exhibits --order check-then-act",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen := allShown()
			if len(names) > 0 {
				chosen = slices.DeleteFunc(chosen, func(s shown) bool {
					return !slices.Contains(names, string(s.order))
				})
			}
			if len(chosen) == 0 {
				return fmt.Errorf("there is no order of writes %q", names)
			}
			s.choose(cmd)
			return l.runExhibits(cmd.Context(), s, chosen)
		},
	}
	cmd.Flags().StringSliceVar(&names, "order", nil, "show only these, such as check-then-act")
	s.flags(cmd, "build/exhibits")
	return cmd
}

func (l *lab) runExhibits(ctx context.Context, at suiteRun, chosen []shown) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range chosen {
		cfg, err := l.rigConfig(ctx, filepath.Join(at.folder, string(s.order)), at.seed)
		if err != nil {
			return err
		}
		cfg.Consumer, cfg.ConsumerArgs = self, []string{"exhibit", string(s.order)}
		cfg.Setup = textbook.Schema(s.order)
		cfg.DrainLimit = mutants.DrainLimit
		fmt.Fprintf(l.out, "\n%s\n  %s\n\n", strings.ToUpper(string(s.order)), s.lesson)
		problem, err := l.show(ctx, cfg, s)
		if err != nil {
			return err
		}
		problems = append(problems, problem)
	}
	return errors.Join(problems...)
}

// show runs one exhibit. Its first result is what was not as expected.
func (l *lab) show(ctx context.Context, cfg faults.Config, s shown) (unexpected, err error) {
	chosen, err := faults.Select(cases.All(), s.cases...)
	if err != nil {
		return nil, err
	}
	verdict, err := faults.Run(ctx, cfg, chosen)
	if err != nil {
		return nil, err
	}
	found := false
	for _, report := range verdict.Cases {
		found = found || slices.ContainsFunc(report.Violations, func(v faults.Violation) bool {
			return v.Invariant == s.invariant
		})
	}
	switch {
	case s.invariant == "" && !verdict.OK:
		return fmt.Errorf("exhibit %s did not pass", s.order), nil
	case s.invariant == "":
		fmt.Fprintf(l.out, "\n  %s: passed, as it must\n", s.order)
	case !found:
		return fmt.Errorf("exhibit %s did not violate %s", s.order, s.invariant), nil
	default:
		fmt.Fprintf(l.out, "\n  %s: failed, as it must: %s is violated\n", s.order, s.invariant)
	}
	return nil, nil
}
