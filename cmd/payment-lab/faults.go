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

// suiteRun is where a run of the fault suite works, as it is typed.
type suiteRun struct {
	folder string
	seed   uint64
	race   bool
}

func (s *suiteRun) flags(cmd *cobra.Command, folder string) {
	cmd.Flags().StringVar(&s.folder, "folder", folder,
		"where the verdict, the journal and the consumers' logs go")
	cmd.Flags().Uint64Var(&s.seed, "seed", 0, "make the random choices of an earlier run again")
}

// choose draws a seed unless one was asked for. It is printed, to be asked for.
func (s *suiteRun) choose(cmd *cobra.Command) {
	if !cmd.Flags().Changed("seed") {
		s.seed = rand.Uint64N(1_000_000)
	}
}

func (l *lab) faults() *cobra.Command {
	var s suiteRun
	var ids []string
	var quick, list bool
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Break the service in every way of the catalogue, and check the payments",
		Long: `Starts servers of its own and real consumers behind proxies, breaks them case by case
while orders flow, and checks after each case what the senders were told against what the
database holds. The verdict is written to verdict.json. The exit status is 0 only if every fault
happened and nothing was violated.`,
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
			s.choose(cmd)
			return l.runFaults(cmd.Context(), s, chosen)
		},
	}
	s.flags(cmd, "build/faults")
	cmd.Flags().StringSliceVar(&ids, "case", nil, "run only these cases, such as F22")
	cmd.Flags().BoolVar(&quick, "quick", false, "run only the cases that are quick")
	cmd.Flags().BoolVar(&list, "list", false, "list the cases, and run none")
	cmd.Flags().BoolVar(&s.race, "race", false, "build the consumers with the race detector")
	return cmd
}

func (l *lab) runFaults(ctx context.Context, s suiteRun, chosen []faults.Case) error {
	cfg, err := l.brokenConsumer(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%d cases, seed %d\n", len(chosen), s.seed)
	verdict, err := faults.Run(ctx, cfg, chosen)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, faults.WriteVerdict(path, verdict)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "faults: cases=%d violations=%d invalid=%d counters=%v verdict=%s\n",
		len(verdict.Cases), verdict.Violations, verdict.Invalid, verdict.Counters, path)
	if !verdict.OK {
		return fmt.Errorf("not every case passed; again: payment-lab faults --seed %d", s.seed)
	}
	return nil
}

func (l *lab) soak() *cobra.Command {
	var s suiteRun
	var duration time.Duration
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Break the service at random for as long as you like",
		Long: `Lets a nemesis draw from a seed what to break next, while orders, repeats, conflicts and
hostile messages flow. Every minute everything is mended and checked, and at the end the
consumer that was never killed must hold no more memory, goroutines and connections than after
its warm-up. The verdict is written to verdict.json.`,
		Example: `  payment-lab soak --duration 10m
  payment-lab soak --duration 2h --seed 7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.choose(cmd)
			return l.runSoak(cmd.Context(), s, duration)
		},
	}
	s.flags(cmd, "build/soak")
	cmd.Flags().DurationVar(&duration, "duration", 10*time.Minute, "how long, such as 2h")
	return cmd
}

func (l *lab) runSoak(ctx context.Context, s suiteRun, duration time.Duration) error {
	cfg, err := l.brokenConsumer(ctx, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%v of whatever seed %d draws\n", duration, s.seed)
	verdict, err := soak.Run(ctx, cfg, duration)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, faults.WriteVerdict(path, verdict)); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "soak: rounds=%d violations=%d invalid=%d counters=%v verdict=%s\n",
		verdict.Rounds, verdict.Violations, verdict.Invalid, verdict.Counters, path)
	if !verdict.OK {
		return fmt.Errorf("not every round passed; again: payment-lab soak --duration %v --seed %d",
			duration, s.seed)
	}
	return nil
}

// brokenConsumer is rigConfig with the consumer built with failpoints.
func (l *lab) brokenConsumer(ctx context.Context, s suiteRun) (cfg faults.Config, err error) {
	if cfg, err = l.rigConfig(ctx, s.folder, s.seed); err != nil {
		return cfg, err
	}
	cfg.Consumer = filepath.Join(cfg.Folder, "payment-consumer")
	args := []string{"-tags", "failpoints"}
	if s.race {
		args = append(args, "-race")
	}
	return cfg, buildConsumer(ctx, cfg.Consumer, args...)
}

// rigConfig says where a rig stands. The program under test is the caller's business; the one that
// audits it is built here, and nobody has tampered with it.
func (l *lab) rigConfig(ctx context.Context, folder string, seed uint64) (faults.Config, error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	folder, err := filepath.Abs(folder)
	if err != nil {
		return faults.Config{}, err
	}
	cfg := faults.Config{
		Home: l.home, Prepare: prepare, Folder: folder, Out: l.out, Seed: seed,
		Auditor: filepath.Join(folder, "auditor"),
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return cfg, err
	}
	return cfg, buildConsumer(ctx, cfg.Auditor)
}

// buildConsumer builds the consumer out of the sources.
func buildConsumer(ctx context.Context, path string, flags ...string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", path}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "./cmd/payment-consumer")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the consumer: %w\n%s", err, out)
	}
	return nil
}
