package ops

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Build says which program this is.
type Build struct {
	Version, Revision string
}

// Metrics are the metrics of the consumer, in a registry of their own. All methods are safe for
// concurrent use and never block.
type Metrics struct {
	registry *prometheus.Registry
	messages messageMetrics
	payments paymentMetrics

	outcomes, deciders, results, reasons, dependencies, errors *words
	sides, classes                                             *words
}

// messageMetrics are those that every consumer of messages has.
type messageMetrics struct {
	processed *prometheus.HistogramVec // error_type
	consumed  prometheus.Counter
	sent      *prometheus.CounterVec   // error_type
	operation *prometheus.HistogramVec // messaging_operation_name, error_type
}

// paymentMetrics are our own.
type paymentMetrics struct {
	decisions   *prometheus.CounterVec   // outcome, decided_by
	steps       *prometheus.HistogramVec // step
	age         prometheus.Histogram
	attempts    prometheus.Histogram
	batch       prometheus.Histogram
	commits     *prometheus.CounterVec // result
	lookups     *prometheus.CounterVec // result
	writes      *prometheus.CounterVec // result
	breaker     *prometheus.GaugeVec   // side
	again       *prometheus.CounterVec // class
	retries     *prometheus.CounterVec // reason
	panics      prometheus.Counter
	quarantined *prometheus.CounterVec // reason
	jumped      prometheus.Counter
	last        prometheus.Gauge
	ready       *prometheus.GaugeVec // dependency
}

// NewMetrics registers the metrics of the program, of the Go runtime and of the process.
func NewMetrics(build Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		outcomes: newWords(), deciders: newWords(), results: newWords(), reasons: newWords(),
		dependencies: newWords(), errors: newWords(), sides: newWords(), classes: newWords(),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	r := registrar{m.registry}
	m.messages, m.payments = newMessageMetrics(r), newPaymentMetrics(r)
	m.begin()
	r.gaugeVec("payment_build_info", "Always 1; the labels say which program this is.",
		"version", "revision", "goversion").
		WithLabelValues(build.Version, build.Revision, runtime.Version()).Set(1)
	return m
}

// begin makes the series that are known beforehand, with 0. A series that begins with its first
// event has no rate for it, and an alert on the rate would sleep through it.
func (m *Metrics) begin() {
	p := &m.payments
	for vec, values := range map[*prometheus.CounterVec][]string{
		p.commits: {"committed", "raced", "failed"},
		p.lookups: {"hit", "miss", "stale", "error"},
		p.writes:  {"ok", "error"},
		p.retries: {"in_place", "redelivery"},
		p.again:   {"deadlock", "lock_wait", "snapshot"},
		// Without an error, and what the sender of results tells apart.
		m.messages.sent: {"", "refused", "unknown", "unavailable"},
	} {
		for _, value := range values {
			vec.WithLabelValues(value).Add(0)
		}
	}
	for _, side := range []string{"lookups", "writes"} {
		m.BreakerOpen(side, false)
	}
}

// Gather is for /metrics and for tests.
func (m *Metrics) Gather() prometheus.Gatherer { return m.registry }

// Observe counts one delivery, when its disposition is known.
func (m *Metrics) Observe(e payment.Event) {
	p := &m.payments
	retried := e.Disposition != payment.Acknowledge
	m.messages.consumed.Inc()
	m.messages.processed.WithLabelValues(errorType(retried)).Observe(e.Took.Seconds())
	p.decisions.WithLabelValues(m.outcomes.word(e.Outcome.String()), m.deciders.word(e.By)).Inc()
	p.attempts.Observe(float64(e.Message.Attempt))
	p.retries.WithLabelValues("in_place").Add(float64(max(e.Retries, 0)))
	if e.Steps.Wait > 0 {
		p.steps.WithLabelValues("wait").Observe(e.Steps.Wait.Seconds())
	}
	if retried {
		p.retries.WithLabelValues("redelivery").Inc()
		return
	}
	p.last.SetToCurrentTime()
	if !e.Message.BornAt.IsZero() {
		// The producer's clock may be ahead of ours.
		p.age.Observe(max(time.Since(e.Message.BornAt), 0).Seconds())
	}
	if e.Outcome == order.Conflict || e.Outcome == order.Rejected {
		p.quarantined.WithLabelValues(m.reasons.word(e.Reason)).Inc()
	}
}

// errorType is OpenTelemetry's error.type: empty for a success.
func errorType(failed bool) string {
	if failed {
		return "retry"
	}
	return ""
}

// Batch counts one group commit. The batch's steps are counted here, once, and not for each of
// its messages.
func (m *Metrics) Batch(b idem.Batch) {
	p := &m.payments
	for step, took := range map[string]time.Duration{
		"cache": b.Steps.Cache, "find": b.Steps.Find, "commit": b.Steps.Commit, "put": b.Steps.Put,
	} {
		if took > 0 {
			p.steps.WithLabelValues(step).Observe(took.Seconds())
		}
	}
	if b.Commits == 0 {
		return
	}
	p.batch.Observe(float64(b.Size))
	result := "failed"
	if b.Committed {
		result = "committed"
	}
	p.commits.WithLabelValues(result).Add(float64(max(b.Commits-b.Races, 0)))
	p.commits.WithLabelValues("raced").Add(float64(max(b.Races, 0)))
}

// CacheLookups counts n keys that were looked up: hit, miss, stale (there, and not to be
// believed) or error.
func (m *Metrics) CacheLookups(result string, n int) {
	m.payments.lookups.WithLabelValues(m.results.word(result)).Add(float64(max(n, 0)))
}

// CacheWrites counts n answers that were to be stored in the cache.
func (m *Metrics) CacheWrites(ok bool, n int) {
	result := "ok"
	if !ok {
		result = "error"
	}
	m.payments.writes.WithLabelValues(result).Add(float64(max(n, 0)))
}

// BreakerOpen says whether one side of the cache, lookups or writes, is being left alone.
func (m *Metrics) BreakerOpen(side string, open bool) {
	m.payments.breaker.WithLabelValues(m.sides.word(side)).Set(number(open))
}

// TransactionRetried counts a transaction that begins from scratch. The class says in a word why:
// deadlock, lock_wait or snapshot if it lost to another one, look if it has to read which orders
// are paid.
func (m *Metrics) TransactionRetried(class string) {
	m.payments.again.WithLabelValues(m.classes.word(class)).Inc()
}

// Panic counts a panic of a handler that was caught.
func (m *Metrics) Panic() { m.payments.panics.Inc() }

// Jumped counts messages that the broker deleted before they were consumed.
func (m *Metrics) Jumped(messages int64) { m.payments.jumped.Add(float64(max(messages, 0))) }

// Sent counts n messages that were sent in one operation. The error type is a word for what went
// wrong, empty when nothing did.
func (m *Metrics) Sent(n int, took time.Duration, errorType string) {
	if errorType != "" {
		errorType = m.errors.word(errorType)
	}
	m.messages.sent.WithLabelValues(errorType).Add(float64(max(n, 0)))
	m.messages.operation.WithLabelValues("send", errorType).Observe(took.Seconds())
}

// Ready says whether a dependency is up; a Health calls it.
func (m *Metrics) Ready(dependency string, ready bool) {
	m.payments.ready.WithLabelValues(m.dependencies.word(dependency)).Set(number(ready))
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
