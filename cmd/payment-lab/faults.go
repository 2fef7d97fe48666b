package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/cases"
	"example.com/payment/internal/faults/soak"
	"example.com/payment/internal/rocketmq"
)

func (l *lab) faults() *cobra.Command {
	var ids []string
	var seed uint64
	var quick, list bool
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Break the service in every way of the catalogue, and check the payments",
		Long: `Starts servers of its own and real consumers behind proxies, breaks them case by case
while orders flow, and checks after each case what the senders were told against what the
database holds. The verdict is written to build/faults/verdict.json. The exit status is 0 only if
every fault happened and nothing was violated.`,
		Example: `  payment-lab faults --list
  payment-lab faults --case F22 --seed 7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := faults.Select(cases.All(), ids...)
			if err != nil {
				return err
			}
			if quick && len(ids) == 0 {
				chosen = cases.Quick()
			}
			if list {
				for _, c := range chosen {
					fmt.Fprintf(l.out, "%-5s %s\n", c.ID, c.Title)
				}
				return nil
			}
			return l.runFaults(cmd.Context(), chosen, seedOf(cmd, seed))
		},
	}
	cmd.Flags().StringSliceVar(&ids, "case", nil, "run only these cases, such as F22")
	seedFlag(cmd, &seed)
	cmd.Flags().BoolVar(&quick, "quick", false, "run only the cases that are quick")
	cmd.Flags().BoolVar(&list, "list", false, "list the cases, and run none")
	return cmd
}

func seedFlag(cmd *cobra.Command, seed *uint64) {
	cmd.Flags().Uint64Var(seed, "seed", 0, "make the random choices of an earlier run again")
}

// seedOf is the seed that was asked for, or else a new one, which is printed.
func seedOf(cmd *cobra.Command, asked uint64) uint64 {
	if cmd.Flags().Changed("seed") {
		return asked
	}
	return rand.Uint64N(1_000_000) //nolint:gosec // has to be repeatable, not secret
}

func (l *lab) runFaults(ctx context.Context, chosen []faults.Case, seed uint64) error {
	cfg, err := l.brokenConsumer(ctx, "faults", seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%d cases, seed %d\n", len(chosen), seed)
	verdict, err := faults.Run(ctx, cfg, chosen)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, faults.WriteVerdict(path, verdict)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "faults: cases=%d violations=%d invalid=%d counters=%v verdict=%s\n",
		len(verdict.Cases), verdict.Violations, verdict.Invalid, verdict.Counters, path)
	if !verdict.OK {
		return fmt.Errorf("not every case passed; again: payment-lab faults --seed %d", seed)
	}
	return nil
}

func (l *lab) soak() *cobra.Command {
	var seed uint64
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Break the service at random for as long as you like",
		Long: `Lets a nemesis draw from a seed what to break next, while orders, repeats, conflicts and
hostile messages flow. Every minute everything is mended and checked, and at the end the
consumer that was never killed must hold no more memory, goroutines and connections than after
its warm-up. The verdict is written to build/soak/verdict.json.`,
		Example: `  payment-lab soak --duration 10m
  payment-lab soak --duration 2h --seed 7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return l.runSoak(cmd.Context(), duration, seedOf(cmd, seed))
		},
	}
	cmd.Flags().DurationVar(&duration, "duration", 10*time.Minute, "how long, such as 2h")
	seedFlag(cmd, &seed)
	return cmd
}

func (l *lab) runSoak(ctx context.Context, duration time.Duration, seed uint64) error {
	cfg, err := l.brokenConsumer(ctx, "soak", seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%v of whatever seed %d draws\n", duration, seed)
	verdict, err := soak.Run(ctx, cfg, duration)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, faults.WriteVerdict(path, verdict)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "soak: rounds=%d violations=%d invalid=%d counters=%v verdict=%s\n",
		verdict.Rounds, verdict.Violations, verdict.Invalid, verdict.Counters, path)
	if !verdict.OK {
		return fmt.Errorf("not every round passed; again: payment-lab soak --duration %v --seed %d",
			duration, seed)
	}
	return nil
}

// brokenConsumer is rigConfig with the consumer built with failpoints, in a folder below build.
func (l *lab) brokenConsumer(
	ctx context.Context, name string, seed uint64,
) (cfg faults.Config, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return cfg, err
	}
	if cfg, err = l.rigConfig(filepath.Join(root, "build", name), seed); err != nil {
		return cfg, err
	}
	cfg.Consumer = filepath.Join(cfg.Folder, "payment-consumer")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", cfg.Consumer,
		"example.com/payment/cmd/payment-consumer")
	if out, err := build.CombinedOutput(); err != nil {
		return cfg, fmt.Errorf("build the consumer with failpoints: %w\n%s", err, out)
	}
	return cfg, nil
}

// rigConfig says where a rig stands. The program under test is the caller's business; the one that
// audits it lies beside this one.
func (l *lab) rigConfig(folder string, seed uint64) (faults.Config, error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	self, err := os.Executable()
	if err != nil {
		return faults.Config{}, err
	}
	return faults.Config{
		Home: l.home, Prepare: prepare, Folder: folder, Out: l.out, Seed: seed,
		Auditor: filepath.Join(filepath.Dir(self), "payment-consumer"),
	}, os.MkdirAll(folder, 0o755)
}
