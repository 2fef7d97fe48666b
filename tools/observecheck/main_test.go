package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun: what the project holds is in order.
func TestRun(t *testing.T) {
	t.Parallel()
	if err := run(filepath.Join("..", ".."), false); err != nil {
		t.Error(err)
	}
}

// TestRun_Refuses breaks one thing at a time in a copy.
func TestRun_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, file, old, replacement, want string }{
		{"UnknownField", "deploy/observe/alerts.yml", "for: 1m", "form: 1m", "form"},
		{"Expression", "deploy/observe/alerts.yml", "max(payment_jumped_messages_total) > 0",
			"max(payment_jumped_messages_total", "parse error"},
		{"Template", "deploy/observe/alerts.yml", "{{ $labels.instance }}", "{{ $lables.instance }}",
			"undefined variable"},
		{"Severity", "deploy/observe/alerts.yml", "severity: page", "severity: loud", "want page"},
		{"Summary", "deploy/observe/alerts.yml", "summary: No payment-consumer", "text: No",
			"no summary"},
		{"Runbook", "docs/runbooks.md", "\n## Lag grows", "\n## Lag", "is no section"},
		{"OtherMetric", "deploy/observe/alerts.yml", "max(payment_jumped_messages_total)",
			"max(payment_jumpd_messages_total)", "is not what rules and dashboard ask for"},
		{"OtherLabel", "deploy/observe/grafana/payment-consumer.json", "sum by (outcome)",
			"sum by (result)", "is not what rules and dashboard ask for"},
		{"PanelQuery", "deploy/observe/grafana/payment-consumer.json", "sum by (outcome) (",
			"sum by (outcome) ((", "panel Decisions by outcome"},
		{"PanelID", "deploy/observe/grafana/payment-consumer.json", `"id": 2,`, `"id": 1,`,
			"is taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, file := range []string{
				"deploy/observe/alerts.yml", "deploy/observe/metrics.txt",
				"deploy/observe/grafana/payment-consumer.json", "docs/runbooks.md",
			} {
				text, err := os.ReadFile(filepath.Join("..", "..", file))
				if err != nil {
					t.Fatal(err)
				}
				if file == test.file {
					if !strings.Contains(string(text), test.old) {
						t.Fatalf("%s has no %q to break", file, test.old)
					}
					text = []byte(strings.Replace(string(text), test.old, test.replacement, 1))
				}
				to := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := run(root, false)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
