package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/payment/internal/faults/cases"
	"example.com/payment/internal/faults/mutants"
	"example.com/payment/internal/faults/report"
)

func (l *lab) reliability() *cobra.Command {
	return &cobra.Command{
		Use:   "reliability",
		Short: "Write docs/reliability.md from the last runs of faults, mutants and soak",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := moduleRoot(cmd.Context())
			if err != nil {
				return err
			}
			verdictOf := func(run string) string {
				return filepath.Join(root, "build", run, "verdict.json")
			}
			verdicts, err := report.Read(verdictOf("faults"), verdictOf("mutants"), verdictOf("soak"))
			if err != nil {
				return err
			}
			all, err := mutants.All()
			if err != nil {
				return err
			}
			if err := verdicts.Check(cases.All(), all); err != nil {
				return err
			}
			var document bytes.Buffer
			if err := verdicts.Write(&document); err != nil {
				return err
			}
			path := filepath.Join("docs", "reliability.md")
			fmt.Fprintln(l.out, path)
			return os.WriteFile(filepath.Join(root, path), document.Bytes(), 0o644)
		},
	}
}
