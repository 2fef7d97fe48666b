package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/faults/cases"
	"example.com/payment/internal/faults/mutants"
)

func (l *lab) mutants() *cobra.Command {
	var s suiteRun
	var names []string
	var list bool
	cmd := &cobra.Command{
		Use:   "mutants",
		Short: "Make deliberate mistakes, and check that the fault suite catches each of them",
		Long: `Builds consumers that each make one deliberate mistake, such as writing the cache before
COMMIT, and runs the cases of the fault suite that should notice. The program as it is goes
first, and must pass all of them. The verdict is written to verdict.json. The exit
status is 0 only if every mutant was caught.`,
		Example: `  payment-lab mutants --list
  payment-lab mutants --mutant insert-ignore`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := mutants.All()
			if err != nil {
				return err
			}
			chosen, err := mutants.Select(all, names...)
			if err != nil {
				return err
			}
			if list {
				for _, m := range chosen {
					fmt.Fprintf(l.out, "%-28s %s\n", m.Name, m.Title)
				}
				return nil
			}
			s.choose(cmd)
			return l.runMutants(cmd.Context(), s, chosen)
		},
	}
	cmd.Flags().StringSliceVar(&names, "mutant", nil, "try only these, such as insert-ignore")
	s.flags(cmd, "build/mutants")
	cmd.Flags().BoolVar(&list, "list", false, "list the mutants, and try none")
	return cmd
}

func (l *lab) runMutants(ctx context.Context, s suiteRun, chosen []mutants.Mutant) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	cfg, err := l.rigConfig(ctx, s.folder, s.seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "%d mutants, seed %d\n", len(chosen), s.seed)
	verdict, err := mutants.Run(ctx, cfg, root, cases.All(), chosen)
	path := filepath.Join(cfg.Folder, "verdict.json")
	if err := errors.Join(err, faults.WriteVerdict(path, verdict)); err != nil {
		return err
	}
	caught := 0
	for _, m := range verdict.Mutants {
		if m.CaughtBy != "" {
			caught++
		}
	}
	fmt.Fprintf(l.out, "mutants: caught=%d of %d verdict=%s\n", caught, len(chosen), path)
	if !verdict.OK {
		return fmt.Errorf("not every mutant was caught; again: payment-lab mutants --seed %d", s.seed)
	}
	return nil
}

// moduleRoot is where the sources are. Whoever breaks them on purpose needs them.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("this command needs the sources: run it in the project's folder")
	}
	return filepath.Dir(file), nil
}
