// Observecheck validates what Prometheus and Grafana are given in deploy/observe: it reads the
// alert rules and the dashboard with Prometheus' own parser, and wants every alert to have a
// severity, a summary and a section of docs/runbooks.md. And it keeps deploy/observe/metrics.txt,
// the metrics with the labels that rules and dashboard ask for, which a test of payment-consumer
// looks up on a live /metrics. Its own tests try each alert on made-up series.
//
// It is a module of its own, so that the programs do not depend on Prometheus' libraries.
//
// usage: observecheck [-write] FOLDER, the one that holds deploy; -write renews metrics.txt
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	write := flag.Bool("write", false, "renew metrics.txt instead of comparing it")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: observecheck [-write] FOLDER")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, write bool) error {
	folder := filepath.Join(root, "deploy", "observe")
	rules, err := readRules(filepath.Join(folder, "alerts.yml"))
	if err != nil {
		return err
	}
	panels, err := readDashboard(filepath.Join(folder, "grafana", "payment-consumer.json"))
	if err != nil {
		return err
	}
	runbooks, err := os.ReadFile(filepath.Join(root, "docs", "runbooks.md"))
	if err != nil {
		return err
	}
	problems := checkRules(rules, anchors(string(runbooks)))
	queries := slices.Clone(panels)
	for _, rule := range rules {
		queries = append(queries, query{where: "alert " + rule.Alert, expr: rule.Expr})
	}
	found, more := collect(queries)
	problems = append(problems, more...)
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	if err := keep(filepath.Join(folder, "metrics.txt"), found, write); err != nil {
		return err
	}
	fmt.Printf("deploy/observe: %d alerts, %d queries of the dashboard, %d metrics are in order\n",
		len(rules), len(panels), len(found))
	return nil
}

// keep writes the list of metrics, or compares it with the one that is there.
func keep(file string, found metrics, write bool) error {
	text := found.String()
	if write {
		return os.WriteFile(file, []byte(text), 0o644)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if string(old) != text {
		return fmt.Errorf("%s is not what rules and dashboard ask for; run make observe-check "+
			"WRITE=1, and look at what has changed", file)
	}
	return nil
}
