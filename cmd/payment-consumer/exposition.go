package main

import (
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
)

// writeExposition prints a verdict as metrics, for node_exporter's textfile collector. A rule that
// could not be looked at in full has no number: it is not known to hold.
func writeExposition(w io.Writer, v verdict, now time.Time) error {
	registry := prometheus.NewRegistry()
	violations := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "payment_audit_violations",
		Help: "Violations of a rule of the ledger that the last audit found.",
	}, []string{"rule"})
	checked := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "payment_audit_checked", Help: "What the last audit looked at, by rule.",
	}, []string{"rule"})
	at := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "payment_audit_timestamp_seconds",
		Help: "When the ledger was last audited in full, in Unix time.",
	})
	registry.MustRegister(violations, checked)
	complete := true
	for _, f := range v.Findings {
		if f.Incomplete && f.Violations == 0 {
			complete = false
			continue
		}
		violations.WithLabelValues(f.Rule).Set(float64(f.Violations))
		checked.WithLabelValues(f.Rule).Set(float64(f.Checked))
	}
	if complete {
		at.Set(float64(now.Unix()))
		registry.MustRegister(at)
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
			return err
		}
	}
	return nil
}
