package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Result is what was measured, as it is written to result.json.
type Result struct {
	Quick   bool    `json:"quick"`
	Seconds float64 `json:"seconds"`
	Machine Machine `json:"machine"`
	// Ratios are the medians of the rounds' ratios: "new:service/textbook" is how much faster the
	// service is with new orders. Two runs of one round are minutes apart at most, while a machine
	// may be half as fast in the next. For those that begin with "p99-" less is better.
	Ratios map[string]float64 `json:"ratios"`
	// Spreads are the least and the greatest of the same ratios, round by round.
	Spreads   map[string][2]float64 `json:"spreads"`
	Lanes     []LaneResult          `json:"lanes"`
	Latencies []Latency             `json:"latencies"`
	Backlog   Backlog               `json:"backlog"`
}

// LaneResult is every run of a lane.
type LaneResult struct {
	Workload Workload `json:"workload"`
	Variant  Variant  `json:"variant"`
	// Median, Least and Most are messages a second.
	Median float64 `json:"median_per_second"`
	Least  float64 `json:"least_per_second"`
	Most   float64 `json:"most_per_second"`
	// Per10000 is what each process used for 10,000 messages, the median of the runs. Memory is
	// what it held at the end of a run, and the most.
	Per10000 map[string]Usage `json:"per_10000"`
	Runs     []Run            `json:"runs"`
}

func newResult(p Plan) Result {
	return Result{Quick: p.Quick, Ratios: map[string]float64{}, Spreads: map[string][2]float64{}}
}

// add appends a run to its lane.
func (r *Result) add(lane Lane, run Run) {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Workload == lane.Workload && l.Variant == lane.Variant {
			l.Runs = append(l.Runs, run)
			return
		}
	}
	r.Lanes = append(r.Lanes, LaneResult{
		Workload: lane.Workload, Variant: lane.Variant, Runs: []Run{run},
	})
}

// concludeLanes makes the medians of the runs.
func (r *Result) concludeLanes() {
	for i := range r.Lanes {
		r.Lanes[i].conclude()
	}
}

// conclude makes medians and ratios of the runs.
func (r *Result) conclude() error {
	r.concludeLanes()
	for _, c := range comparisons() {
		if err := r.divide(c.name, r.rates(c.over), r.rates(c.under)); err != nil {
			return err
		}
	}
	for _, rate := range r.latencyRates() {
		name := fmt.Sprintf("p99-%d:service/textbook", rate)
		err := r.divide(name, r.p99(rate, VariantService), r.p99(rate, VariantTextbook))
		if err != nil {
			return err
		}
	}
	return nil
}

// divide adds the median of the rounds' ratios.
func (r *Result) divide(name string, over, under []float64) error {
	if len(over) == 0 || len(under) == 0 {
		return fmt.Errorf("ratio %s: nothing was measured", name)
	}
	each := quotients(over, under)
	r.Ratios[name] = median(each)
	r.Spreads[name] = [2]float64{slices.Min(each), slices.Max(each)}
	return nil
}

// quotients are the ratios round by round, of as many rounds as both have.
func quotients(over, under []float64) []float64 {
	var each []float64
	for i := range min(len(over), len(under)) {
		each = append(each, over[i]/under[i])
	}
	return each
}

// lane returns the runs of a lane, or nothing.
func (r *Result) lane(w Workload, v Variant) *LaneResult {
	for i := range r.Lanes {
		if l := &r.Lanes[i]; l.Workload == w && l.Variant == v {
			return l
		}
	}
	return nil
}

func (r *Result) rates(of Lane) []float64 {
	l := r.lane(of.Workload, of.Variant)
	if l == nil {
		return nil
	}
	rates := make([]float64, len(l.Runs))
	for i, run := range l.Runs {
		rates[i] = run.PerSecond
	}
	return rates
}

func (r *Result) latencyRates() []int {
	var rates []int
	for _, l := range r.Latencies {
		rates = append(rates, l.Rate)
	}
	slices.Sort(rates)
	return slices.Compact(rates)
}

func (r *Result) p99(rate int, v Variant) []float64 {
	return r.percentile(rate, v, func(l Latency) float64 { return l.P99 })
}

func (r *Result) percentile(rate int, v Variant, of func(Latency) float64) []float64 {
	var found []float64
	for _, l := range r.Latencies {
		if l.Rate == rate && l.Variant == v {
			found = append(found, of(l))
		}
	}
	return found
}

func (l *LaneResult) conclude() {
	var rates []float64
	for _, run := range l.Runs {
		rates = append(rates, run.PerSecond)
	}
	l.Median, l.Least, l.Most = median(rates), slices.Min(rates), slices.Max(rates)
	l.Per10000 = map[string]Usage{}
	for name := range l.Runs[0].Usage {
		var cpu, written, memory, peak []float64
		for _, run := range l.Runs {
			u := run.Usage[name].per(float64(run.Messages) / 10_000)
			cpu, written = append(cpu, u.CPUSeconds), append(written, float64(u.BytesWritten))
			memory, peak = append(memory, float64(u.MemoryBytes)), append(peak, float64(u.PeakBytes))
		}
		l.Per10000[name] = Usage{
			CPUSeconds: median(cpu), BytesWritten: int64(median(written)),
			MemoryBytes: int64(median(memory)), PeakBytes: int64(median(peak)),
		}
	}
}

// comparison is a ratio of two lanes.
type comparison struct {
	name        string
	over, under Lane
}

// comparisons are all ratios of throughput. Every workload is compared with the textbook.
func comparisons() []comparison {
	var all []comparison
	add := func(w Workload, over, under Variant) {
		all = append(all, comparison{
			name: fmt.Sprintf("%s:%s/%s", w, over, under),
			over: Lane{Workload: w, Variant: over}, under: Lane{Workload: w, Variant: under},
		})
	}
	for _, w := range []Workload{
		WorkloadNew, WorkloadMixed, WorkloadWarm, WorkloadCold, WorkloadHot, WorkloadRows,
	} {
		add(w, VariantService, VariantTextbook)
		add(w, VariantNoResults, VariantTextbook)
	}
	add(WorkloadNew, VariantNoResults, VariantUnsafe)
	add(WorkloadNew, VariantNoResults, VariantDrop)
	add(WorkloadNew, VariantTraced, VariantUnobserved)
	add(WorkloadWarm, VariantService, VariantDrop)
	add(WorkloadWarm, VariantNoResults, VariantDrop)
	spread := Lane{Workload: WorkloadNew, Variant: VariantNoResults}
	return append(all,
		comparison{"hot/spread", Lane{Workload: WorkloadHot, Variant: VariantNoResults}, spread},
		comparison{"rows-1m/empty", Lane{Workload: WorkloadRows, Variant: VariantNoResults}, spread})
}

// median is the middle of values, of which there is at least one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Write writes a Result or a Scale as JSON.
func Write[T Result | Scale](path string, r T) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Read reads a result that Write has written.
func Read(path string) (r Result, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}
