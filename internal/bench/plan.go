package bench

import (
	"slices"
	"strings"
	"time"
)

// Variant is a program under measurement.
type Variant string

// The variants.
const (
	// VariantDrop acknowledges and does nothing: what broker and client can do.
	VariantDrop Variant = "drop"
	// VariantUnsafe is the service without lookups, cache and results: what idempotence costs.
	VariantUnsafe Variant = "unsafe"
	// VariantTextbook is the flow of the textbook, message by message, without results.
	VariantTextbook Variant = "textbook"
	// VariantService is the program as it is.
	VariantService Variant = "service"
	// VariantNoResults is the program as it is, but no results are sent.
	VariantNoResults Variant = "service-noresults"
	// VariantTraced is the program as it is with tracing turned on, as far as it samples by default.
	VariantTraced Variant = "service-traced"
	// VariantUnobserved is the program without tracing and without metrics: what both cost.
	VariantUnobserved Variant = "service-unobserved"
)

// Workload is what is in the topic, the database and the cache before a run.
type Workload string

// The workloads. Orders of all of them but WorkloadHot are of 1,000 payers and 100 payees, and
// serial numbers are random.
const (
	// WorkloadNew: no order was seen before, the tables are empty.
	WorkloadNew Workload = "new"
	// WorkloadMixed: 30 % of the messages repeat one of up to 200 orders before.
	WorkloadMixed Workload = "dup-30"
	// WorkloadWarm: every order is paid, and the cache knows it.
	WorkloadWarm Workload = "dup-warm"
	// WorkloadCold: every order is paid, and the cache knows nothing.
	WorkloadCold Workload = "dup-cold"
	// WorkloadHot: every new order pays the same shop.
	WorkloadHot Workload = "hot"
	// WorkloadRows: as WorkloadNew, into tables that held a million payments before the first run.
	WorkloadRows Workload = "rows-1m"
)

// Lane is one program under one workload.
type Lane struct {
	Workload Workload
	Variant  Variant
	// Side lanes are a check and not compared closely: a quick plan runs them once.
	Side bool
}

// Plan says how much and how long.
type Plan struct {
	Quick bool
	// Rounds is how often each lane runs.
	Rounds int
	// WarmUp is how long each of the runs before them takes, which count for nothing.
	WarmUp time.Duration
	// Time is how long a run of throughput takes at most.
	Time time.Duration
	// Backlog, Hot, Rows and Repeats are numbers of messages: of new orders, of orders of one payee,
	// for one run into the large table, and of repeated orders.
	Backlog, Hot, Rows, Repeats int
	// Rates are the rates at which latency is measured, per second, and Latency for how long each.
	Rates   []int
	Latency time.Duration
	// LatencyRounds is how often.
	LatencyRounds int
	// Memory is how long the consumer works on the backlog to show its memory.
	Memory time.Duration
	// Only, unless empty, are the lanes to run, by names such as "new:service". Then there are no
	// ratios, and nothing else is measured: it is for whoever changes the service.
	Only []string
}

// lanes are those of all that the plan runs.
func (p Plan) lanes(all []Lane) []Lane {
	if len(p.Only) == 0 {
		return all
	}
	var chosen []Lane
	for _, name := range p.Only {
		for _, lane := range all {
			workload, variant, _ := strings.Cut(name, ":")
			if string(lane.Workload) != workload || slices.Contains(chosen, Lane{
				Workload: lane.Workload, Variant: Variant(variant),
			}) {
				continue
			}
			chosen = append(chosen, Lane{Workload: lane.Workload, Variant: Variant(variant)})
		}
	}
	return chosen
}

// needs says whether any lane of a workload runs.
func (p Plan) needs(workloads ...Workload) bool {
	return slices.ContainsFunc(p.lanes(slices.Concat(newOrders(), repeats())), func(l Lane) bool {
		return slices.Contains(workloads, l.Workload)
	})
}

// existingRows is how many payments the large table holds before the first run.
const existingRows = 1_000_000

// NewPlan returns the plan of a whole measurement, or of one that takes less than five minutes.
func NewPlan(quick bool) Plan {
	rates := []int{200, 1000, 5000}
	if quick {
		return Plan{
			Quick: true, Rounds: 2, WarmUp: 6 * time.Second, Time: 2 * time.Second,
			Backlog: 1_000_000, Hot: 60_000, Rows: 50_000, Repeats: 100_000,
			Rates: rates, Latency: 3 * time.Second, LatencyRounds: 2, Memory: 8 * time.Second,
		}
	}
	return Plan{
		Rounds: 5, WarmUp: 20 * time.Second, Time: 6 * time.Second,
		Backlog: 1_000_000, Hot: 200_000, Rows: 150_000, Repeats: 300_000,
		Rates: rates, Latency: 15 * time.Second, LatencyRounds: 5, Memory: time.Minute,
	}
}

// newOrders are the lanes that pay. Those that are compared most closely are neighbours.
func newOrders() []Lane {
	return []Lane{
		{Workload: WorkloadNew, Variant: VariantTraced},
		{Workload: WorkloadNew, Variant: VariantUnobserved},
		{Workload: WorkloadNew, Variant: VariantDrop},
		{Workload: WorkloadNew, Variant: VariantService},
		{Workload: WorkloadNew, Variant: VariantTextbook},
		{Workload: WorkloadNew, Variant: VariantNoResults},
		{Workload: WorkloadNew, Variant: VariantUnsafe},
		{Workload: WorkloadHot, Variant: VariantNoResults},
		{Workload: WorkloadRows, Variant: VariantNoResults},
		{Workload: WorkloadHot, Variant: VariantService, Side: true},
		{Workload: WorkloadHot, Variant: VariantTextbook, Side: true},
		{Workload: WorkloadRows, Variant: VariantService, Side: true},
		{Workload: WorkloadRows, Variant: VariantTextbook, Side: true},
	}
}

// repeats are the lanes with repeated orders.
func repeats() []Lane {
	return []Lane{
		{Workload: WorkloadWarm, Variant: VariantDrop},
		{Workload: WorkloadWarm, Variant: VariantNoResults},
		{Workload: WorkloadWarm, Variant: VariantService},
		{Workload: WorkloadWarm, Variant: VariantTextbook, Side: true},
		{Workload: WorkloadCold, Variant: VariantNoResults, Side: true},
		{Workload: WorkloadCold, Variant: VariantService, Side: true},
		{Workload: WorkloadCold, Variant: VariantTextbook, Side: true},
		{Workload: WorkloadMixed, Variant: VariantNoResults, Side: true},
		{Workload: WorkloadMixed, Variant: VariantService, Side: true},
		{Workload: WorkloadMixed, Variant: VariantTextbook, Side: true},
	}
}
