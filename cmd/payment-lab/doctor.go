package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/payment/internal/devstack"
)

func (l *lab) doctor() *cobra.Command {
	output := "text"
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that this machine has what the servers need",
		Long: `Looks at everything that the servers need and says how to get what is missing. The
exit status is 1 when something is missing; a warning concerns the tests or a convenience only.`,
		Example: "  payment-lab doctor\n  payment-lab doctor -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return fmt.Errorf("--output must be text or json, not %q", output)
			}
			opts, err := l.options()
			if err != nil {
				return err
			}
			checks := devstack.Doctor(cmd.Context(), opts)
			if output == "json" {
				encoder := json.NewEncoder(l.out)
				encoder.SetIndent("", "  ")
				err = encoder.Encode(checks)
			} else {
				l.printChecks(checks)
			}
			return errors.Join(err, missing(checks))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "text or json")
	return cmd
}

func (l *lab) printChecks(checks []devstack.Check) {
	for _, check := range checks {
		fmt.Fprintf(l.out, "  %-8s %-11s %s\n", check.Status, check.Name, check.Found)
		if check.Remedy != "" {
			fmt.Fprintf(l.out, "  %-8s %-11s -> %s\n", "", "", check.Remedy)
		}
	}
}

// missing is an error when a check says that the stack cannot start.
func missing(checks []devstack.Check) error {
	count := 0
	for _, check := range checks {
		if check.Status == devstack.Missing {
			count++
		}
	}
	if count == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d things are missing; each line above says how to get it",
		count, len(checks))
}
