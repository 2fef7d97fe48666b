package docs_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/bench"
)

// TestPerformance wants the ratios and the memory that docs/performance.md tells to be those of the measurement
// that is kept.
func TestPerformance(t *testing.T) {
	t.Parallel()
	baseline, err := bench.Read(filepath.Join(root, "bench/baseline.json"))
	if err != nil {
		t.Fatal(err)
	}
	page := read(t, "docs/performance.md")
	var want []string
	for _, name := range slices.Sorted(maps.Keys(baseline.Ratios)) {
		least, most := baseline.Spreads[name][0], baseline.Spreads[name][1]
		want = append(want, fmt.Sprintf("| `%s` | %.2f | %.2f to %.2f |", name,
			baseline.Ratios[name], least, most))
	}
	row := regexp.MustCompile("(?m)^\\| `[^`]*/[^`]*` \\|.*$")
	got := row.FindAllString(page, -1)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/performance.md has not the ratios of bench/baseline.json; they are\n%s\n"+
			"(-want +got):\n%s", strings.Join(want, "\n"), diff)
	}
	if peak := fmt.Sprintf("never held more than %d MiB", baseline.Backlog.PeakBytes>>20); !strings.Contains(
		page, peak) {
		t.Errorf("docs/performance.md does not say that the consumer %s", peak)
	}
}
