package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// scenario is an alert on made-up series, in the notation of Prometheus' own tests, a sample a
// minute: it must fire at one of the minutes, or at none.
type scenario struct {
	alert, name, series string
	fires               bool
}

// scenarios tries each alert where it must fire, and where it must not.
func scenarios() []scenario {
	const (
		consumer = `up{job="payment-consumer",instance="a"} `
		lag      = `payment_consumer_lag_messages{kind="orders",broker="b",queue="0",instance="a"} `
		decided  = `payment_last_decision_timestamp_seconds{instance="a"} `
		audited  = `payment_audit_timestamp_seconds `
	)
	return []scenario{
		{"NoConsumer", "Down", consumer + "0x30", true},
		{"NoConsumer", "Gone", `up{job="broker"} 1x30`, true},
		{"NoConsumer", "OneOfTwo", consumer + "1x30\n" +
			`up{job="payment-consumer",instance="b"} 0x30`, false},
		{"DependencyDown", "Database", `payment_ready{dependency="database"} 0x30`, true},
		{"DependencyDown", "Cache", `payment_ready{dependency="cache"} 0x30`, false},
		{"DependencyDown", "Blink", `payment_ready{dependency="database"} 1 0 1x28`, false},
		{"MessagesJumped", "Jumped", `payment_jumped_messages_total 0 0 3x28`, true},
		{"MessagesJumped", "None", `payment_jumped_messages_total 0x30`, false},
		{"ConsumersStandStill", "Still", lag + "5x30\n" + decided + "0x30", true},
		{"ConsumersStandStill", "Idle", lag + "0x30\n" + decided + "0x30", false},
		{"ConsumersStandStill", "Busy", lag + "5x30\n" + decided + "0+60x30", false},
		{"LagGrows", "Grows", lag + "20000+1000x60", true},
		{"LagGrows", "Shrinks", lag + "90000-1000x60", false},
		{"LagGrows", "Small", lag + "1+10x60", false},
		{"DeadLetters", "Wait", `payment_consumer_lag_messages{kind="dead_letters"} 1x30`, true},
		{"DeadLetters", "Drained", `payment_consumer_lag_messages{kind="dead_letters"} 1 0x30`, false},
		{"QuarantineOpen", "Open",
			`payment_quarantine_messages{kind="conflict",reason="x",state="open"} 1x60`, true},
		{"QuarantineOpen", "SeenTo",
			`payment_quarantine_messages{kind="conflict",reason="x",state="open"} 1x10 0x50`, false},
		{"Redeliveries", "Many", `payment_retries_total{reason="redelivery"} 0+10x60
messaging_client_consumed_messages_total 0+100x60`, true},
		{"Redeliveries", "Few", `payment_retries_total{reason="redelivery"} 0+1x60
messaging_client_consumed_messages_total 0+100x60`, false},
		{"CommitsFail", "Many", `payment_commits_total{result="failed"} 0+2x30
payment_commits_total{result="committed"} 0+10x30`, true},
		{"CommitsFail", "None", `payment_commits_total{result="failed"} 0x30
payment_commits_total{result="committed"} 0+10x30`, false},
		{"ResultsNotSent", "Refused",
			`messaging_client_sent_messages_total{error_type="refused"} 0+1x30`, true},
		{"ResultsNotSent", "Sent", `messaging_client_sent_messages_total{error_type=""} 0+1x30
messaging_client_sent_messages_total{error_type="refused"} 0x30`, false},
		{"HandlerPanics", "Panic", `payment_handler_panics_total 0x5 1x25`, true},
		{"HandlerPanics", "None", `payment_handler_panics_total 0x30`, false},
		{"CacheLeftAlone", "Writes", `payment_cache_breaker_open{side="writes"} 1x30`, true},
		{"CacheLeftAlone", "Blink", `payment_cache_breaker_open{side="writes"} 1x3 0x27`, false},
		{"PaymentsAreLate", "Late", `payment_message_age_seconds_bucket{le="1"} 0x30
payment_message_age_seconds_bucket{le="100"} 0+10x30
payment_message_age_seconds_bucket{le="+Inf"} 0+10x30`, true},
		{"PaymentsAreLate", "Quick", `payment_message_age_seconds_bucket{le="1"} 0+10x30
payment_message_age_seconds_bucket{le="100"} 0+10x30
payment_message_age_seconds_bucket{le="+Inf"} 0+10x30`, false},
		{"ConsumerIdle", "Idle", `payment_assigned_queues{kind="orders",instance="a"} 0x30`, true},
		{"ConsumerIdle", "Reads", `payment_assigned_queues{kind="orders",instance="a"} 2x30
payment_assigned_queues{kind="dead_letters",instance="a"} 0x30`, false},
		{"MixedVersions", "Mixed", `payment_build_info{version="1"} 1x180
payment_build_info{version="2"} 1x180`, true},
		{"MixedVersions", "Upgrade", `payment_build_info{version="1"} 1x30
payment_build_info{version="2"} _x20 1x160`, false},
		{"LedgerBroken", "Broken", `payment_audit_violations{rule="I3"} 1x5`, true},
		{"LedgerBroken", "Well", `payment_audit_violations{rule="I3"} 0x5`, false},
		{"NoAudit", "Never", consumer + "1x90", true},
		{"NoAudit", "Old", audited + "0x4000", true},
		{"NoAudit", "Today", audited + "0x90", false},
	}
}

// TestAlerts tries each alert, and wants one that fires and one that does not for every rule.
func TestAlerts(t *testing.T) {
	t.Parallel()
	all, err := readRules(filepath.Join("..", "..", "deploy", "observe", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]map[bool]bool{}
	for _, s := range scenarios() {
		if tried[s.alert] == nil {
			tried[s.alert] = map[bool]bool{}
		}
		tried[s.alert][s.fires] = true
		t.Run(s.alert+"/"+s.name, func(t *testing.T) {
			t.Parallel()
			for _, rule := range all {
				if rule.Alert == s.alert {
					if got := fires(t, rule.Expr, time.Duration(rule.For), s.series); got != s.fires {
						t.Errorf("fires is %v", got)
					}
					return
				}
			}
			t.Error("there is no such alert")
		})
	}
	for _, rule := range all {
		if !tried[rule.Alert][true] || !tried[rule.Alert][false] {
			t.Errorf("alert %s is not tried both ways", rule.Alert)
		}
	}
}

// fires evaluates a rule once a minute for as long as the series last, as Prometheus does.
func fires(t *testing.T, expr string, hold time.Duration, series string) bool {
	t.Helper()
	parsed, err := promql().ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	load := "load 1m\n  " + strings.ReplaceAll(series, "\n", "\n  ") + "\n"
	storage := promqltest.LoadedStorage(t, load)
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	rule := rules.NewAlertingRule("x", parsed, hold, 0, labels.EmptyLabels(), labels.EmptyLabels(),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
	last := 0
	for _, count := range regexp.MustCompile(`x(\d+)\b`).FindAllStringSubmatch(series, -1) {
		n, err := strconv.Atoi(count[1])
		if err != nil {
			t.Fatal(err)
		}
		last = max(last, n)
	}
	for minute := range last {
		at := time.Unix(0, 0).Add(time.Duration(minute) * time.Minute)
		_, err := rule.Eval(context.Background(), 0, at, rules.EngineQueryFunc(engine, storage), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, alert := range rule.ActiveAlerts() {
			if alert.State == rules.StateFiring {
				return true
			}
		}
	}
	return false
}
