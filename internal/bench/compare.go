package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Change is how one ratio changed from an earlier result to a later one.
type Change struct {
	Name          string
	Before, After float64
	// Worse says that it changed for the worse by more than was tolerated. A ratio that is gone
	// is worse.
	Worse bool
}

// latencyPrefix begins the ratios of which less is better.
const latencyPrefix = "p99-"

// latencyTolerance is how many times the tolerance a ratio of latencies gets.
const latencyTolerance = 3

// Compare holds the ratios of a later result against those of an earlier one. The tolerance is a
// share, such as 0.15. A ratio that is new is not compared.
func Compare(before, after Result, tolerance float64) []Change {
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(before.Ratios)) {
		c := Change{Name: name, Before: before.Ratios[name], After: after.Ratios[name]}
		if strings.HasPrefix(name, latencyPrefix) {
			c.Worse = c.After > c.Before*(1+latencyTolerance*tolerance) || c.After == 0
		} else {
			c.Worse = c.After < c.Before*(1-tolerance)
		}
		changes = append(changes, c)
	}
	return changes
}

// Worse counts the changes for the worse.
func Worse(changes []Change) int {
	worse := 0
	for _, c := range changes {
		if c.Worse {
			worse++
		}
	}
	return worse
}

// WriteChanges prints a line for each change.
func WriteChanges(to io.Writer, changes []Change) {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	defer func() { _ = t.Flush() }()
	_, _ = fmt.Fprintln(t, "ratio\tbefore\tafter\tchange\t")
	for _, c := range changes {
		word := ""
		if c.Worse {
			word = "WORSE"
		}
		_, _ = fmt.Fprintf(t, "%s\t%.2f\t%.2f\t%+.0f %%\t%s\n", c.Name, c.Before, c.After,
			100*(c.After/c.Before-1), word)
	}
}
