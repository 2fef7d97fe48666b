package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
	"example.com/payment/internal/patched"
)

// TestPatches_Compile applies every patch to the sources as they are today: one that no longer
// fits would be noticed only by whoever measures next.
func TestPatches_Compile(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []Variant{VariantNoResults, VariantUnsafe, VariantUnobserved, probed} {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			patch, err := patchOf(v)
			if err != nil || patch == "" {
				t.Fatalf("patch %q, error %v", patch, err)
			}
			args := []string{"-o", os.DevNull}
			for _, file := range patched.Files(patch) {
				args = append(args, "./"+filepath.Dir(file))
			}
			if err := patched.Build(t.Context(), root, t.TempDir(), patch, args...); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestComparisons: each ratio is of lanes that are run.
func TestComparisons(t *testing.T) {
	t.Parallel()
	run := map[Lane]bool{}
	for _, lane := range slices.Concat(newOrders(), repeats()) {
		lane.Side = false
		if run[lane] {
			t.Errorf("lane %v is there twice", lane)
		}
		run[lane] = true
	}
	var names []string
	for _, c := range comparisons() {
		if !run[c.over] || !run[c.under] {
			t.Errorf("%s: a lane is not run", c.name)
		}
		names = append(names, c.name)
	}
	for _, want := range []string{
		"new:service/textbook", "new:service-noresults/textbook", "new:service-noresults/unsafe",
		"dup-warm:service/drop", "dup-warm:service-noresults/drop", "hot/spread", "rows-1m/empty",
		"new:service-traced/service-unobserved",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no ratio %s", want)
		}
	}
}

// TestMix: the same name makes the same orders, another name others, and as many repeats as asked.
func TestMix(t *testing.T) {
	t.Parallel()
	serials := func(m mix) (all []string) {
		for out := range m.messages() {
			o, err := order.Decode(out.Key, out.Body, order.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if m.hot && o.Payee != hotShop {
				t.Errorf("%s is paid", o.Payee)
			}
			all = append(all, string(o.Serial))
		}
		return all
	}
	a := serials(mix{name: "a", count: 1000, hot: true})
	if diff := cmp.Diff(a, serials(mix{name: "a", count: 1000, hot: true})); diff != "" {
		t.Errorf("the second time (+), the first time (-):\n%s", diff)
	}
	both := slices.Concat(a, serials(mix{name: "b", count: 1000}))
	slices.Sort(both)
	if n := len(slices.Compact(both)); n != 2000 {
		t.Errorf("%d serials are distinct, want 2000", n)
	}
	mixed := serials(mix{name: "c", count: 10_000, repeats: 0.3})
	slices.Sort(mixed)
	if n := len(slices.Compact(mixed)); n < 6_800 || n > 7_200 {
		t.Errorf("%d of 10,000 messages are new, want about 7,000", n)
	}
}

func TestInBatches(t *testing.T) {
	t.Parallel()
	var sizes []int
	for batch := range inBatches(mix{name: "x", count: 130}.messages(), 64) {
		sizes = append(sizes, len(batch))
	}
	if diff := cmp.Diff([]int{64, 64, 2}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestParseCounts(t *testing.T) {
	t.Parallel()
	got := parseCounts(`# HELP payment_decisions_total x
payment_decisions_total{decided_by="transaction",outcome="paid"} 41
payment_decisions_total{decided_by="cache",outcome="duplicate"} 2
payment_decisions_total{decided_by="batch",outcome="duplicate"} 1e+03
other_total{outcome="paid"} 7
`)
	if diff := cmp.Diff(counts{"paid": 41, "duplicate": 1002}, got); diff != "" {
		t.Errorf("got (+), want (-):\n%s", diff)
	}
	if got.total() != 1043 {
		t.Errorf("total %d", got.total())
	}
}

// TestNewRun: a run lies between two looks; of one that was over at the first nothing is known.
func TestNewRun(t *testing.T) {
	t.Parallel()
	first := sample{at: time.Unix(100, 0), counts: counts{"paid": 100}}
	last := sample{at: time.Unix(102, 0), counts: counts{"paid": 300}}
	run, err := newRun(first, last)
	if err != nil || run.Messages != 200 || run.Seconds != 2 || run.PerSecond != 100 {
		t.Errorf("got %+v, %v", run, err)
	}
	if run, err := newRun(last, last); err == nil {
		t.Errorf("a run that was over when it was first seen is %+v", run)
	}
}

// TestExpected: a run that did something else than its lane says is none.
func TestExpected(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lane   Lane
		counts counts
		ok     bool
	}{
		"Paid":     {Lane{Workload: WorkloadNew, Variant: VariantService}, counts{"paid": 1}, true},
		"Declined": {Lane{Workload: WorkloadNew}, counts{"paid": 9, "declined": 1}, false},
		"Retried":  {Lane{Workload: WorkloadWarm}, counts{"duplicate": 9, "retry": 1}, false},
		"Dropped":  {Lane{Workload: WorkloadWarm, Variant: VariantDrop}, counts{"dropped": 9}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := expected(c.lane, c.counts); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

// measured is a result with made-up runs in every lane, so that nothing is missing.
func measured(t *testing.T, perSecond map[Variant][]float64) Result {
	t.Helper()
	r := newResult(NewPlan(true))
	for _, lane := range slices.Concat(newOrders(), repeats()) {
		for _, rate := range perSecond[lane.Variant] {
			r.add(lane, Run{
				PerSecond: rate, Messages: 20_000,
				Usage: map[string]Usage{ours: {CPUSeconds: 4, BytesWritten: 10, PeakBytes: 7}},
			})
		}
	}
	for _, p99 := range []float64{3, 30, 6} {
		r.Latencies = append(r.Latencies,
			Latency{Rate: 200, Variant: VariantService, P99: p99},
			Latency{Rate: 200, Variant: VariantTextbook, P99: 12})
	}
	if err := r.conclude(); err != nil {
		t.Fatal(err)
	}
	return r
}

func rates(service float64) map[Variant][]float64 {
	return map[Variant][]float64{
		VariantDrop: {900, 1000}, VariantUnsafe: {800, 840}, VariantTextbook: {10, 20, 30},
		VariantNoResults: {400, 420, 100}, VariantService: {service}, VariantTraced: {190},
		VariantUnobserved: {200},
	}
}

// TestResult: rounds are compared, and what counts is the median of their ratios.
func TestResult(t *testing.T) {
	t.Parallel()
	r := measured(t, rates(200))
	for name, want := range map[string]float64{
		"new:service-noresults/textbook": 21, "new:service/textbook": 20,
		"new:service-noresults/unsafe": 0.5, "hot/spread": 1, "p99-200:service/textbook": 0.5,
	} {
		if got := r.Ratios[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if diff := cmp.Diff([2]float64{100.0 / 30, 40}, r.Spreads["new:service-noresults/textbook"]); diff != "" {
		t.Error(diff)
	}
	want := Usage{CPUSeconds: 2, BytesWritten: 5, PeakBytes: 7}
	if diff := cmp.Diff(want, r.lane(WorkloadNew, VariantDrop).Per10000[ours]); diff != "" {
		t.Error(diff)
	}
	path := filepath.Join(t.TempDir(), "a", "result.json")
	if err := Write(path, r); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if diff := cmp.Diff(r, again); err != nil || diff != "" {
		t.Errorf("error %v, read (+), written (-):\n%s", err, diff)
	}
}

// TestResult_Missing: what was not measured has no ratio, and that is an error.
func TestResult_Missing(t *testing.T) {
	t.Parallel()
	r := newResult(NewPlan(true))
	r.add(Lane{Workload: WorkloadNew, Variant: VariantService}, Run{PerSecond: 1, Messages: 1})
	if err := r.conclude(); err == nil {
		t.Error("a ratio with nothing below it is none")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	before, after := measured(t, rates(200)), measured(t, rates(150))
	after.Ratios["p99-200:service/textbook"] = 0.7
	delete(after.Ratios, "hot/spread")
	var worse []string
	changes := Compare(before, after, 0.2)
	for _, c := range changes {
		if c.Worse {
			worse = append(worse, c.Name)
		}
	}
	want := []string{
		"dup-30:service/textbook", "dup-cold:service/textbook", "dup-warm:service/drop",
		"dup-warm:service/textbook", "hot/spread", "hot:service/textbook", "new:service/textbook",
		"rows-1m:service/textbook",
	}
	if diff := cmp.Diff(want, worse); diff != "" || Worse(changes) != len(want) {
		t.Errorf("worse (+), want (-):\n%s", diff)
	}
	var out bytes.Buffer
	WriteChanges(&out, changes)
	if got := strings.Count(out.String(), "WORSE"); got != len(want) {
		t.Errorf("%d lines say WORSE, want %d:\n%s", got, len(want), out.String())
	}
	if Worse(Compare(before, before, 0)) != 0 {
		t.Error("nothing changed, and something is worse")
	}
}

func TestDistribution(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for n := range 1000 {
		took = append(took, time.Duration(n+1)*time.Millisecond)
	}
	got, err := distribution(200, took)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]float64{
		"p50": {got.P50, 500}, "p99": {got.P99, 990}, "p99.9": {got.P999, 999}, "max": {got.Max, 1000},
	} {
		if pair[0] < pair[1]*0.998 || pair[0] > pair[1]*1.002 {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
	if got.Messages != 1000 || got.Rate != 200 {
		t.Errorf("%+v", got)
	}
}

// TestPictures: the plot is well-formed whatever the machine is called, and the table has every
// ratio.
func TestPictures(t *testing.T) {
	t.Parallel()
	r := measured(t, rates(12_345))
	r.Machine.CPU = "A & B <C>"
	picture := plot(r)
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"12,300/s", "All new orders", "textbook", "A &amp; B &lt;C&gt;"} {
		if !strings.Contains(picture, want) {
			t.Errorf("the plot has no %q", want)
		}
	}
	var table bytes.Buffer
	WriteTable(&table, r)
	for name := range r.Ratios {
		if !strings.Contains(table.String(), name) {
			t.Errorf("the table has no %s", name)
		}
	}
}

// TestPlan_Lanes: a choice of lanes may name programs that no plan has, and needs no more topics
// than its workloads.
func TestPlan_Lanes(t *testing.T) {
	t.Parallel()
	p := NewPlan(true)
	if got := len(p.lanes(newOrders())); got != len(newOrders()) || !p.needs(WorkloadCold) {
		t.Errorf("%d lanes without a choice", got)
	}
	p.Only = []string{"new:service", "new:mine"}
	want := []Lane{
		{Workload: WorkloadNew, Variant: VariantService}, {Workload: WorkloadNew, Variant: "mine"},
	}
	if diff := cmp.Diff(want, p.lanes(newOrders())); diff != "" {
		t.Error(diff)
	}
	if len(p.lanes(repeats())) > 0 || p.needs(WorkloadRows, WorkloadCold) || !p.needs(WorkloadNew) {
		t.Error("other workloads are wanted")
	}
}
