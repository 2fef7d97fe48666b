package ops

import "github.com/prometheus/client_golang/prometheus"

// registrar makes metrics and registers them. A name that is registered twice is a mistake of
// this package, so it panics at start.
type registrar struct {
	to prometheus.Registerer
}

func newMessageMetrics(r registrar) messageMetrics {
	r.to = prometheus.WrapRegistererWith(prometheus.Labels{"messaging_system": "rocketmq"}, r.to)
	durations := prometheus.ExponentialBuckets(0.0005, 2.5, 14) // 0.5 ms to 75 s
	return messageMetrics{
		processed: r.histogramVec("messaging_process_duration_seconds",
			"Time from receiving a delivery to its disposition.", durations, "error_type"),
		consumed: r.counter("messaging_client_consumed_messages_total",
			"Deliveries that were handled, also those that will be redelivered."),
		sent: r.counterVec("messaging_client_sent_messages_total",
			"Result messages that were sent; error_type is empty when the broker has stored them.",
			"error_type"),
		operation: r.histogramVec("messaging_client_operation_duration_seconds",
			"Time of an operation at the broker; a send may hold many messages.", durations,
			"messaging_operation_name", "error_type"),
	}
}

func newPaymentMetrics(r registrar) paymentMetrics {
	m := paymentMetrics{
		decisions: r.counterVec("payment_decisions_total",
			"Deliveries by their outcome and by who knew it.", "outcome", "decided_by"),
		steps: r.histogramVec("payment_step_duration_seconds",
			"Time in each step: wait for each delivery, the others once for each batch.",
			prometheus.ExponentialBuckets(0.0001, 2.5, 14), "step"),
		age: r.histogram("payment_message_age_seconds",
			"Time from the producer's send to the decision, by both clocks.",
			prometheus.ExponentialBuckets(0.001, 3, 16)), // 1 ms to 4 h
		attempts: r.histogram("payment_delivery_attempts",
			"Which delivery of its message a delivery was.", []float64{1, 2, 3, 5, 8, 12, 17}),
		batch: r.histogram("payment_commit_batch_size",
			"Deliveries that shared a transaction.", prometheus.ExponentialBuckets(1, 2, 10)),
		commits: r.counterVec("payment_commits_total",
			"Transactions: committed, raced (back to the lookup) or failed.", "result"),
		last: r.gauge("payment_last_decision_timestamp_seconds",
			"When a delivery was last acknowledged, in Unix time."),
		ready: r.gaugeVec("payment_ready",
			"1 while the dependency is up, as the program sees it.", "dependency"),
	}
	addTrouble(r, &m)
	return m
}

// addTrouble adds the metrics that are quiet on a good day.
func addTrouble(r registrar, m *paymentMetrics) {
	m.lookups = r.counterVec("payment_cache_lookups_total",
		"Keys looked up in the cache: hit, miss, stale (not to be believed) or error.", "result")
	m.writes = r.counterVec("payment_cache_writes_total",
		"Answers written to the cache, ok or error. Nothing is lost with one.", "result")
	m.breaker = r.gaugeVec("payment_cache_breaker_open",
		"1 while a side of the cache, lookups or writes, is left alone because it fails or is slow.",
		"side")
	m.again = r.counterVec("payment_transaction_retries_total",
		"Transactions begun from scratch: having lost to another (deadlock, lock_wait, snapshot), "+
			"or to read which orders are paid (look).",
		"class")
	m.retries = r.counterVec("payment_retries_total",
		"Retries: in_place by this program, redelivery by the broker.", "reason")
	m.panics = r.counter("payment_handler_panics_total", "Panics that were caught.")
	m.quarantined = r.counterVec("payment_quarantined_messages_total",
		"Deliveries that went to the quarantine, since the start.", "reason")
	m.jumped = r.counter("payment_jumped_messages_total",
		"Messages that the broker deleted before they were consumed. Payments may be missing.")
}

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.to.MustRegister(c)
	return c
}

func (r registrar) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.to.MustRegister(c)
	return c
}

func (r registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	r.to.MustRegister(g)
	return g
}

func (r registrar) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.to.MustRegister(g)
	return g
}

func (r registrar) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets})
	r.to.MustRegister(h)
	return h
}

func (r registrar) histogramVec(
	name, help string, buckets []float64, labels ...string,
) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets}, labels)
	r.to.MustRegister(h)
	return h
}
