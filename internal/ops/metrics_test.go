package ops

import (
	"fmt"
	"runtime"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// ours gives every sample of ours as `name{labels}` and its value: the count of a histogram.
func ours(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		name := family.GetName()
		if !strings.HasPrefix(name, "payment_") && !strings.HasPrefix(name, "messaging_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, pair := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", pair.GetName(), pair.GetValue()))
			}
			sort.Strings(labels)
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
			all[name+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return all
}

func paid() payment.Event {
	return payment.Event{
		Outcome: order.Paid, By: "commit", Disposition: payment.Acknowledge,
		Message: payment.Message{Attempt: 1, BornAt: time.Now()},
		Steps:   idem.Steps{Wait: time.Millisecond}, Took: 2 * time.Millisecond,
	}
}

func TestMetrics_Samples(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{Version: "v1", Revision: "abc"})
	m.Watch(sources())
	m.Observe(paid())
	rejected := paid()
	rejected.Outcome, rejected.By, rejected.Reason = order.Rejected, "", "bad_utf8"
	m.Observe(rejected)
	retry := paid()
	retry.Outcome, retry.By, retry.Disposition, retry.Retries = order.Retry, "", payment.Redeliver, 2
	m.Observe(retry)
	m.Batch(idem.Batch{Size: 3, Commits: 3, Races: 1, Committed: true,
		Steps: idem.Steps{Cache: 1, Find: 1, Commit: 1, Put: 1}})
	m.Batch(idem.Batch{Size: 2, Steps: idem.Steps{Cache: 1}}) // answered by the cache
	m.Batch(idem.Batch{Size: 2, Commits: 1})
	m.CacheLookups("hit", 4)
	m.CacheWrites(true, 3)
	m.CacheWrites(false, 2)
	m.BreakerOpen("lookups", true)
	m.TransactionRetried("deadlock")
	m.Panic()
	m.Jumped(12)
	m.Sent(9, time.Millisecond, "")
	m.Sent(2, time.Second, "timeout")
	m.Ready("redis", false)
	m.Ready("mysql", true)

	got := ours(t, m.Gather())
	last := "payment_last_decision_timestamp_seconds{}"
	if age := float64(time.Now().Unix()) - got[last]; age < -60 || age > 600 {
		t.Errorf("the last decision was %v seconds ago", age)
	}
	delete(got, last)
	for name := range ours(t, NewMetrics(Build{}).Gather()) {
		if got[name] == 0 {
			delete(got, name) // it is there from the start, and nothing has happened
		}
	}
	want := map[string]float64{
		`messaging_process_duration_seconds{error_type="",messaging_system="rocketmq"}`:          2,
		`messaging_process_duration_seconds{error_type="retry",messaging_system="rocketmq"}`:     1,
		`messaging_client_consumed_messages_total{messaging_system="rocketmq"}`:                  3,
		`messaging_client_sent_messages_total{error_type="",messaging_system="rocketmq"}`:        9,
		`messaging_client_sent_messages_total{error_type="timeout",messaging_system="rocketmq"}`: 2,
		`messaging_client_operation_duration_seconds{error_type="",` +
			`messaging_operation_name="send",messaging_system="rocketmq"}`: 1,
		`messaging_client_operation_duration_seconds{error_type="timeout",` +
			`messaging_operation_name="send",messaging_system="rocketmq"}`: 1,
		`payment_decisions_total{decided_by="commit",outcome="paid"}`:                           1,
		`payment_decisions_total{decided_by="none",outcome="rejected"}`:                         1,
		`payment_decisions_total{decided_by="none",outcome="retry"}`:                            1,
		`payment_step_duration_seconds{step="wait"}`:                                            3,
		`payment_step_duration_seconds{step="cache"}`:                                           2,
		`payment_step_duration_seconds{step="find"}`:                                            1,
		`payment_step_duration_seconds{step="commit"}`:                                          1,
		`payment_step_duration_seconds{step="put"}`:                                             1,
		`payment_message_age_seconds{}`:                                                         2,
		`payment_delivery_attempts{}`:                                                           3,
		`payment_commit_batch_size{}`:                                                           2,
		`payment_commits_total{result="committed"}`:                                             2,
		`payment_commits_total{result="raced"}`:                                                 1,
		`payment_commits_total{result="failed"}`:                                                1,
		`payment_inflight_messages{}`:                                                           7,
		`payment_waiting_messages{}`:                                                            5,
		`payment_cache_lookups_total{result="hit"}`:                                             4,
		`payment_cache_writes_total{result="ok"}`:                                               3,
		`payment_cache_writes_total{result="error"}`:                                            2,
		`payment_cache_breaker_open{side="lookups"}`:                                            1,
		`payment_transaction_retries_total{class="deadlock"}`:                                   1,
		`payment_consumer_lag_messages{broker="broker-a",kind="orders",queue="0"}`:              3,
		`payment_consumer_lag_messages{broker="broker-a",kind="orders",queue="1"}`:              0,
		`payment_assigned_queues{kind="orders"}`:                                                2,
		`payment_quarantine_messages{kind="conflict",reason="serial_reused",state="open"}`:      4,
		`payment_pool_connections_max{pool="database"}`:                                         8,
		`payment_pool_connections{pool="database",state="in_use"}`:                              3,
		`payment_pool_connections{pool="database",state="idle"}`:                                2,
		`payment_pool_waits_total{pool="database"}`:                                             6,
		`payment_pool_wait_seconds_total{pool="database"}`:                                      1.5,
		`payment_retries_total{reason="in_place"}`:                                              2,
		`payment_retries_total{reason="redelivery"}`:                                            1,
		`payment_handler_panics_total{}`:                                                        1,
		`payment_quarantined_messages_total{reason="bad_utf8"}`:                                 1,
		`payment_jumped_messages_total{}`:                                                       12,
		`payment_ready{dependency="redis"}`:                                                     0,
		`payment_ready{dependency="mysql"}`:                                                     1,
		`payment_build_info{goversion="` + runtime.Version() + `",revision="abc",version="v1"}`: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// sources give what a running program would.
func sources() Sources {
	return Sources{
		InFlight: func() int { return 7 }, Waiting: func() int { return 5 },
		Queues: func() []Queue {
			return []Queue{{Kind: "orders", Broker: "broker-a", ID: 0, Lag: 3},
				{Kind: "orders", Broker: "broker-a", ID: 1}}
		},
		Assigned: func() map[string]int { return map[string]int{"orders": 2} },
		Quarantine: func() []Quarantined {
			return []Quarantined{
				{Kind: "conflict", Reason: "serial_reused", State: "open", Count: 4}}
		},
		Pools: map[string]func() Pool{"database": func() Pool {
			return Pool{Max: 8, InUse: 3, Idle: 2, Waits: 6, Waited: 1500 * time.Millisecond}
		}},
	}
}

// A source that gives too much, the same twice, or words that are none: a scrape still works.
func TestMetrics_SourcesAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	m.Watch(Sources{
		Queues: func() (all []Queue) {
			for i := range 5000 {
				all = append(all, Queue{Kind: "orders", Broker: "broker-a", ID: i / 2, Lag: 1})
			}
			all[0].Broker = "broker\"} PAY_1"
			return all
		},
		Quarantine: func() (all []Quarantined) {
			for i := range 5000 {
				all = append(all, Quarantined{Kind: "rejected", Reason: fmt.Sprint("PAY_", i), Count: 1})
			}
			return all
		},
	})
	samples := ours(t, m.Gather())
	for sample := range samples {
		if strings.Contains(sample, "PAY") {
			t.Errorf("content in %s", sample)
		}
	}
	if n := len(samples); n > 2*seriesPerSource {
		t.Errorf("%d samples", n)
	}
	lag := samples[`payment_consumer_lag_messages{broker="broker-a",kind="orders",queue="7"}`]
	if lag != 2 {
		t.Errorf("a queue that came twice has lag %v, want the sum", lag)
	}
}

// What alerts count is there before the first event, or they would miss it.
func TestMetrics_Begin(t *testing.T) {
	t.Parallel()
	got := ours(t, NewMetrics(Build{}).Gather())
	for _, name := range []string{
		`payment_handler_panics_total{}`, `payment_jumped_messages_total{}`,
		`payment_commits_total{result="failed"}`, `payment_cache_lookups_total{result="error"}`,
		`payment_cache_breaker_open{side="writes"}`, `payment_retries_total{reason="redelivery"}`,
		`payment_transaction_retries_total{class="deadlock"}`,
		`messaging_client_sent_messages_total{error_type="unknown",messaging_system="rocketmq"}`,
	} {
		if value, there := got[name]; !there || value != 0 {
			t.Errorf("%s: %v, %v", name, value, there)
		}
	}
}

// Whatever a caller passes, a metric neither shows it nor grows with it.
func TestMetrics_LabelsAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	for i := range 500 {
		e := paid()
		e.Outcome, e.Reason = order.Rejected, fmt.Sprintf("PAY_%d", i)
		e.By = strings.Repeat("a", i%labelLength+1) + string(rune('a'+i%26))
		m.Observe(e)
		m.Ready(fmt.Sprintf("user-%d", i), true)
		m.CacheLookups(fmt.Sprintf("secret %d", i), 1)
	}
	samples := ours(t, m.Gather())
	for sample := range samples {
		for _, content := range []string{"PAY", "user", "secret", "499"} {
			if strings.Contains(sample, content) {
				t.Errorf("content in %s", sample)
			}
		}
	}
	if most := labelWords + 40; len(samples) > most {
		t.Errorf("%d samples, want at most %d", len(samples), most)
	}
}

func TestMetrics_NegativeIsIgnored(t *testing.T) {
	t.Parallel()
	m := NewMetrics(Build{})
	e := paid()
	e.Retries, e.Message.BornAt = -1, time.Now().Add(time.Hour)
	m.Observe(e)
	m.Jumped(-1)
	m.Sent(-1, 0, "")
	m.CacheLookups("hit", -1)
	m.Batch(idem.Batch{Size: 1, Commits: 1, Races: 2})
}
