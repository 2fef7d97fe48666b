package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/bench"
	"example.com/payment/internal/rocketmq"
)

// benchBaseline is the result that is kept with the sources, and benchFolder where new ones go.
const (
	benchBaseline = "bench/baseline.json"
	benchFolder   = "bench/out"
)

func (l *lab) bench() *cobra.Command {
	var quick bool
	var folder string
	var cfg bench.Config
	var only []string
	var rounds int
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what idempotence costs, as ratios within one run",
		Long: `Starts servers of its own and measures the service against programs that do less: one that
only acknowledges, the service without idempotence, and the flow of the textbook. Runs that are
compared take turns. The figures are printed, and written to result.json with a plot beside it.
docs/performance.md says what they mean. A machine that does nothing else gives better ones.`,
		Example: `  payment-lab bench --quick
  payment-lab bench --lane new:service --lane new:mine --program mine=/tmp/payment-consumer`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg.Plan = bench.NewPlan(quick)
			cfg.Plan.Only = only
			if len(only) > 0 && rounds > 0 {
				cfg.Plan.Rounds = rounds
			}
			return l.runBench(cmd.Context(), folder, cfg)
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "fewer and shorter runs, in under five minutes")
	cmd.Flags().StringVar(&folder, "folder", benchFolder, "where the result and the plot go")
	cmd.Flags().StringSliceVar(&only, "lane", nil,
		"run only this WORKLOAD:VARIANT and the like, and make no ratios")
	cmd.Flags().IntVar(&rounds, "rounds", 0,
		"run each --lane so often, instead of 5 times (2 if quick)")
	cmd.Flags().StringToStringVar(&cfg.More, "program", nil,
		"NAME=PATH: another build of the service, to be named in --lane")
	cmd.Flags().BoolVar(&cfg.Profile, "profile", false,
		"keep the CPU profile of each run of the service in build/bench")
	return cmd
}

func (l *lab) runBench(ctx context.Context, folder string, cfg bench.Config) error {
	cfg, err := l.benchConfig(ctx, cfg)
	if err != nil {
		return err
	}
	result, err := bench.Measure(ctx, cfg)
	if err != nil {
		return err
	}
	if len(cfg.Plan.Only) > 0 {
		bench.WriteTable(l.out, result)
		return nil
	}
	path := filepath.Join(folder, "result.json")
	if err := bench.Write(path, result); err != nil {
		return err
	}
	if err := bench.WritePlot(filepath.Join(folder, "throughput.svg"), result); err != nil {
		return err
	}
	bench.WriteTable(l.out, result)
	fmt.Fprintf(l.out, "\nbench: seconds=%.0f result=%s\n", result.Seconds, path)
	return nil
}

// benchConfig adds to cfg what is the same for all measurements.
func (l *lab) benchConfig(ctx context.Context, cfg bench.Config) (bench.Config, error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	root, err := moduleRoot(ctx)
	if err != nil {
		return cfg, err
	}
	self, err := os.Executable()
	if err != nil {
		return cfg, err
	}
	cfg.Home, cfg.Root, cfg.Self, cfg.Folder = l.home, root, self, filepath.Join("build", "bench")
	cfg.Out, cfg.Progress = l.out, l.progress
	return cfg, nil
}

func (l *lab) benchScale() *cobra.Command {
	var folder string
	plan := bench.NewScalePlan()
	cmd := &cobra.Command{
		Use:   "bench-scale",
		Short: "Measure the service as processes, queues and rows grow",
		Long: `Starts servers of its own and measures the service, which sends results, with new orders:
with more processes, with fewer and more queues, and into tables that hold more and more payments.
Beside each run there is one under the usual conditions, one process, eight queues and empty
tables, and the ratio is to that. The figures are printed, and written to scale.json.`,
		Example: `  payment-lab bench-scale --rows 10000,100000`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := l.benchConfig(cmd.Context(), bench.Config{})
			if err != nil {
				return err
			}
			scale, err := bench.MeasureScale(cmd.Context(), cfg, plan)
			if err != nil {
				return err
			}
			bench.WriteScale(l.out, scale)
			return bench.Write(filepath.Join(folder, "scale.json"), scale)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&folder, "folder", benchFolder, "where the result goes")
	flags.IntSliceVar(&plan.Processes, "processes", plan.Processes, "numbers of processes")
	flags.IntSliceVar(&plan.Queues, "queues", plan.Queues, "numbers of queues")
	flags.IntSliceVar(&plan.Rows, "rows", plan.Rows, "payments in the tables before, ascending")
	flags.IntVar(&plan.Rounds, "rounds", plan.Rounds, "how often each is measured")
	return cmd
}

func (l *lab) benchCompare() *cobra.Command {
	var against, with string
	var tolerance float64
	cmd := &cobra.Command{
		Use:   "bench-compare",
		Short: "Compare the last measurement with the one that is kept with the sources",
		Long: `Compares the ratios of two results of payment-lab bench. The exit status is 1 if any became
worse by more than the tolerance, or is missing. Ratios of latency, which vary more, get three
times the tolerance.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			before, err := bench.Read(against)
			if err != nil {
				return err
			}
			after, err := bench.Read(with)
			if err != nil {
				return fmt.Errorf("%w (make bench measures)", err)
			}
			changes := bench.Compare(before, after, tolerance)
			bench.WriteChanges(l.out, changes)
			if worse := bench.Worse(changes); worse > 0 {
				return fmt.Errorf("%d of %d ratios are worse than in %s", worse, len(changes), against)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&against, "against", benchBaseline, "the earlier result")
	cmd.Flags().StringVar(&with, "with", filepath.Join(benchFolder, "result.json"), "the later result")
	cmd.Flags().Float64Var(&tolerance, "tolerance", 0.15, "how much worse a ratio may become")
	return cmd
}

func (l *lab) benchDrop() *cobra.Command {
	return &cobra.Command{
		Use:    "bench-drop",
		Short:  "Acknowledge every order and do nothing",
		Long:   "Reads the same variables as payment-consumer. Never use it where orders matter.",
		Hidden: true, // payment-lab bench starts it
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.Drop(cmd.Context(), os.Environ(), os.Stderr)
		},
	}
}
