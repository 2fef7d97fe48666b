package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// query is a PromQL expression and where it stands.
type query struct{ where, expr string }

func promql() parser.Parser { return parser.NewParser(parser.Options{}) }

// readRules reads the alerts as Prometheus does, unknown fields and templates included.
func readRules(file string) ([]rulefmt.Rule, error) {
	groups, problems := rulefmt.ParseFile(file, false, model.UTF8Validation, promql(),
		slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	var rules []rulefmt.Rule
	for _, group := range groups.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules, nil
}

// checkRules wants what a person needs who is woken by an alert.
func checkRules(rules []rulefmt.Rule, sections map[string]bool) (problems []error) {
	for _, rule := range rules {
		bad := func(format string, args ...any) {
			problem := fmt.Errorf("alert %s: %s", rule.Alert, fmt.Sprintf(format, args...))
			problems = append(problems, problem)
		}
		if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
			bad("severity %q: want page or ticket", s)
		}
		if rule.Annotations["summary"] == "" {
			bad("no summary")
		}
		section, found := strings.CutPrefix(rule.Annotations["runbook"], "docs/runbooks.md#")
		if !found || !sections[section] {
			bad("runbook %q is no section of docs/runbooks.md", rule.Annotations["runbook"])
		}
	}
	return problems
}

// anchors are the sections of a Markdown file, by the names that links have for them.
func anchors(markdown string) map[string]bool {
	found := map[string]bool{}
	drop := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(markdown) {
		if title, isTitle := strings.CutPrefix(line, "## "); isTitle {
			name := drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			found[strings.ReplaceAll(name, " ", "-")] = true
		}
	}
	return found
}

// readDashboard lists the queries of a dashboard's panels.
func readDashboard(file string) ([]query, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var dashboard struct {
		Title  string
		UID    string
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if dashboard.Title == "" || dashboard.UID == "" {
		return nil, fmt.Errorf("%s: a dashboard needs a title and a uid", file)
	}
	var queries []query
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			return nil, fmt.Errorf("%s: panel %q: its id %d is taken", file, panel.Title, panel.ID)
		}
		ids[panel.ID] = true
		if panel.Type != "row" && len(panel.Targets) == 0 {
			return nil, fmt.Errorf("%s: panel %q has no query", file, panel.Title)
		}
		for _, target := range panel.Targets {
			// Grafana fills in its own variable; any duration will do to parse it.
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "1m")
			queries = append(queries, query{where: "panel " + panel.Title, expr: expr})
		}
	}
	return queries, nil
}

// metrics are names with the labels that are asked for.
type metrics map[string]map[string]bool

// String is one line for each metric: its name and its labels, in order.
func (m metrics) String() string {
	var b strings.Builder
	b.WriteString("# What dashboard and alerts ask for: a metric, and labels. " +
		"Made by make observe-check.\n")
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(strings.Join(append([]string{name}, slices.Sorted(maps.Keys(m[name]))...), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// added are labels, and a metric, that Prometheus makes itself.
func added(name string) bool {
	return name == "up" || name == "job" || name == "instance" || name == model.MetricNameLabel
}

// collect finds every metric of the queries.
func collect(queries []query) (metrics, []error) {
	found := metrics{}
	var problems []error
	for _, q := range queries {
		expr, err := promql().ParseExpr(q.expr)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", q.where, err))
			continue
		}
		parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
			selector, ok := node.(*parser.VectorSelector)
			if !ok || added(selector.Name) {
				return nil
			}
			if found[selector.Name] == nil {
				found[selector.Name] = map[string]bool{}
			}
			for _, label := range asked(selector, path) {
				if !added(label) {
					found[selector.Name][label] = true
				}
			}
			return nil
		})
	}
	return found, problems
}

// asked are the labels by which a selector selects, and by which the innermost aggregation above it
// groups: what those further out group by is what it has left.
func asked(selector *parser.VectorSelector, path []parser.Node) (names []string) {
	for _, matcher := range selector.LabelMatchers {
		names = append(names, matcher.Name)
	}
	for _, above := range slices.Backward(path) {
		if aggregate, ok := above.(*parser.AggregateExpr); ok {
			if !aggregate.Without {
				names = append(names, aggregate.Grouping...)
			}
			break
		}
	}
	return names
}
