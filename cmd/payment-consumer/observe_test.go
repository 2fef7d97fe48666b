package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMetrics_OfDashboardAndAlerts: every metric, with its labels, that the dashboard or an alert
// asks for is there on a consumer that works. The list is made from both by tools/observecheck.
func TestMetrics_OfDashboardAndAlerts(t *testing.T) {
	requireStack(t)
	text, err := os.ReadFile("../../deploy/observe/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := startConsumer(t)
	mustRun(t, "order-producer", "load", "--orders", "200", "--repeat", "20%", "--alter", "5%",
		"--malform", "5%", "--seed", "11")
	var missing []string
	await(t, "what takes its time: the last looks at offsets and at the quarantine", func() bool {
		page, _ := c.get("/metrics")
		page += run(t, "payment-consumer", nil, "audit", "-o", "prometheus").stdout
		missing = absent(page, string(text))
		return len(missing) == 0 || t.Context().Err() != nil
	})
	if diff := cmp.Diff([]string(nil), missing); diff != "" {
		t.Errorf("missing on /metrics:\n%s", diff)
	}
}

// absent lists the lines of wanted, each a metric's name and its labels, that no sample has.
func absent(page, wanted string) (missing []string) {
	labels := map[string]map[string]bool{}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, inner, _ := strings.Cut(name+" "+rest, "{")
		name, _, _ = strings.Cut(name, " ")
		if labels[name] == nil {
			labels[name] = map[string]bool{}
		}
		for pair := range strings.SplitSeq(inner, `",`) {
			label, _, _ := strings.Cut(pair, "=")
			labels[name][label] = true
		}
	}
	for line := range strings.Lines(wanted) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		found, there := labels[fields[0]]
		for _, label := range fields[1:] {
			there = there && found[label]
		}
		if !there {
			missing = append(missing, strings.TrimSpace(line))
		}
	}
	return missing
}

// TestAbsent: the test above sees what is not there.
func TestAbsent(t *testing.T) {
	t.Parallel()
	const page = "# HELP a x\na{x=\"1\",y=\"2, z\"} 3\nb 1\n"
	got := absent(page, "# names\n\na x y\na z\nb\nb x\nc\n")
	if diff := cmp.Diff([]string{"a z", "b x", "c"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
