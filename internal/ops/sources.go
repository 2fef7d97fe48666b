package ops

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// seriesPerSource bounds what one scrape takes from a source. Queues and reasons are few; should
// a source ever give more, the page must not grow with it.
const seriesPerSource = 512

// Sources are asked at each scrape, by several scrapes at once. They answer from memory, at once:
// a scrape must not add load to a server that is struggling. Each may be nil.
type Sources struct {
	// InFlight counts the deliveries that are with the handler, Waiting those of them that wait
	// for a group commit.
	InFlight, Waiting func() int
	// Queues are the queues of the group, as the last look at the broker's offsets saw them.
	Queues func() []Queue
	// Assigned counts, for each kind of queue, those that this process reads.
	Assigned func() map[string]int
	// Quarantine counts the open messages, as the last look at the database saw them.
	Quarantine func() []Quarantined
	// Pools are the connections to servers, by the server's name.
	Pools map[string]func() Pool
}

// Queue is one queue of the broker, and how far the group has come in it.
type Queue struct {
	// Kind says in a word what is in it: orders, retries, dead_letters or dead_letter_retries.
	Kind   string
	Broker string
	ID     int
	// Lag counts the messages above the group's committed offset.
	Lag int64
}

// Quarantined is a number of messages in quarantine.
type Quarantined struct {
	Kind, Reason, State string
	Count               int64
}

// Pool is a pool of connections.
type Pool struct {
	Max, InUse, Idle int
	// Waits counts how often somebody waited for a connection, Waited how long in all.
	Waits  int64
	Waited time.Duration
}

// Watch adds what Sources tell. It may be called once.
func (m *Metrics) Watch(sources Sources) {
	m.registry.MustRegister(&snapshot{sources: sources, shapes: newShapes(),
		kinds: newWords(), reasons: newWords(), states: newWords()})
}

// shapes describe the metrics that a snapshot is made of.
type shapes struct {
	inFlight, waiting, lag, assigned, quarantine *prometheus.Desc
	poolMax, pool, waits, waited                 *prometheus.Desc
}

func newShapes() shapes {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return shapes{
		inFlight: desc("payment_inflight_messages", "Deliveries that are being handled."),
		waiting:  desc("payment_waiting_messages", "Deliveries that wait for a group commit."),
		lag: desc("payment_consumer_lag_messages",
			"Messages above the group's committed offset, at the last look at the broker. All "+
				"consumers of a group see the same ones: do not add them up.",
			"kind", "broker", "queue"),
		assigned: desc("payment_assigned_queues",
			"Queues that this process reads. Beyond as many consumers as queues, some have none.",
			"kind"),
		quarantine: desc("payment_quarantine_messages",
			"Open messages in quarantine, counted up to 10,000. All consumers see the same ones.",
			"kind", "reason", "state"),
		poolMax: desc("payment_pool_connections_max", "Connections that may be open.", "pool"),
		pool:    desc("payment_pool_connections", "Open connections: in_use or idle.", "pool", "state"),
		waits:   desc("payment_pool_waits_total", "Waits for a connection.", "pool"),
		waited:  desc("payment_pool_wait_seconds_total", "Time spent in such waits.", "pool"),
	}
}

// snapshot is a collector that asks the sources.
type snapshot struct {
	sources Sources
	shapes  shapes

	kinds, reasons, states *words
}

var _ prometheus.Collector = (*snapshot)(nil)

// Describe names what Collect gives.
func (s *snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.shapes.inFlight, s.shapes.waiting, s.shapes.lag, s.shapes.assigned, s.shapes.quarantine,
		s.shapes.poolMax, s.shapes.pool, s.shapes.waits, s.shapes.waited,
	} {
		ch <- d
	}
}

// Collect asks each source once.
func (s *snapshot) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if s.sources.InFlight != nil {
		gauge(s.shapes.inFlight, float64(s.sources.InFlight()))
	}
	if s.sources.Waiting != nil {
		gauge(s.shapes.waiting, float64(s.sources.Waiting()))
	}
	if s.sources.Assigned != nil {
		for kind, n := range s.sources.Assigned() {
			gauge(s.shapes.assigned, float64(n), s.kinds.word(kind))
		}
	}
	s.collectQueues(gauge)
	s.collectQuarantine(gauge)
	s.collectPools(ch, gauge)
}

type gaugeFunc func(d *prometheus.Desc, value float64, labels ...string)

func (s *snapshot) collectQueues(gauge gaugeFunc) {
	if s.sources.Queues == nil {
		return
	}
	type place struct {
		kind, broker string
		queue        int
	}
	lag := map[place]int64{} // a series that came twice would fail the whole scrape
	for _, q := range first(s.sources.Queues()) {
		lag[place{s.kinds.word(q.Kind), brokerWord(q.Broker), q.ID}] += q.Lag
	}
	for p, n := range lag {
		gauge(s.shapes.lag, float64(n), p.kind, p.broker, strconv.Itoa(p.queue))
	}
}

// brokerWord is a broker's name, which operators give: letters, digits and a few signs.
func brokerWord(name string) string {
	odd := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			r == '-' || r == '_' || r == '.')
	}
	if name == "" || len(name) > 2*labelLength || slices.ContainsFunc([]rune(name), odd) {
		return otherWord
	}
	return name
}

func (s *snapshot) collectQuarantine(gauge gaugeFunc) {
	if s.sources.Quarantine == nil {
		return
	}
	count := map[[3]string]int64{}
	for _, q := range first(s.sources.Quarantine()) {
		labels := [3]string{s.kinds.word(q.Kind), s.reasons.word(q.Reason), s.states.word(q.State)}
		count[labels] += q.Count
	}
	for labels, n := range count {
		gauge(s.shapes.quarantine, float64(n), labels[:]...)
	}
}

func (s *snapshot) collectPools(ch chan<- prometheus.Metric, gauge gaugeFunc) {
	for name, stats := range s.sources.Pools {
		p := stats()
		gauge(s.shapes.poolMax, float64(p.Max), name)
		gauge(s.shapes.pool, float64(p.InUse), name, "in_use")
		gauge(s.shapes.pool, float64(p.Idle), name, "idle")
		ch <- prometheus.MustNewConstMetric(s.shapes.waits, prometheus.CounterValue,
			float64(p.Waits), name)
		ch <- prometheus.MustNewConstMetric(s.shapes.waited, prometheus.CounterValue,
			p.Waited.Seconds(), name)
	}
}

// first bounds what a source gave.
func first[T any](all []T) []T { return all[:min(len(all), seriesPerSource)] }
