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
	m.Watch(func() int { return 7 }, func() int { return 5 })
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
	m.BreakerOpen(true)
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
		`payment_cache_breaker_open{}`:                                                          1,
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
