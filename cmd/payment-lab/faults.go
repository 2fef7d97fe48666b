package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/cases"
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
			if !cmd.Flags().Changed("seed") {
				seed = rand.Uint64N(1_000_000) //nolint:gosec // is printed, to be repeated
			}
			return l.runFaults(cmd.Context(), chosen, seed)
		},
	}
	cmd.Flags().StringSliceVar(&ids, "case", nil, "run only these cases, such as F22")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "make the random choices of an earlier run again")
	cmd.Flags().BoolVar(&quick, "quick", false, "run only the cases that are quick")
	cmd.Flags().BoolVar(&list, "list", false, "list the cases, and run none")
	return cmd
}

func (l *lab) runFaults(ctx context.Context, chosen []faults.Case, seed uint64) error {
	cfg, err := l.rigConfig(ctx, filepath.Join("build", "faults"))
	if err != nil {
		return err
	}
	cfg.Seed = seed
	fmt.Fprintf(l.out, "%d cases, seed %d\n", len(chosen), seed)
	verdict, err := faults.Run(ctx, cfg, chosen)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, verdict.Write(path)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "faults: cases=%d violations=%d invalid=%d counters=%v verdict=%s\n",
		len(verdict.Cases), verdict.Violations, verdict.Invalid, verdict.Counters, path)
	if !verdict.OK {
		return fmt.Errorf("not every case passed; again: payment-lab faults --seed %d", seed)
	}
	return nil
}

// rigConfig builds the consumer with failpoints and says where a rig stands.
func (l *lab) rigConfig(ctx context.Context, folder string) (cfg faults.Config, err error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	if folder, err = filepath.Abs(folder); err != nil {
		return cfg, err
	}
	self, err := os.Executable()
	if err != nil {
		return cfg, err
	}
	cfg = faults.Config{
		Home: l.home, Prepare: prepare, Folder: folder, Out: l.out,
		Auditor:  filepath.Join(filepath.Dir(self), "payment-consumer"),
		Consumer: filepath.Join(folder, "payment-consumer"),
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "failpoints", "-o", cfg.Consumer,
		"example.com/payment/cmd/payment-consumer")
	if out, err := build.CombinedOutput(); err != nil {
		return cfg, fmt.Errorf("build the consumer with failpoints: %w\n%s", err, out)
	}
	return cfg, nil
}
