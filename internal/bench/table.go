package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// WriteTable prints what a person wants to see of a result.
func WriteTable(to io.Writer, r Result) {
	_, _ = fmt.Fprintf(to, "\n%s\n", r.Machine)
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	defer func() { _ = t.Flush() }()
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(t, format+"\n", args...) }

	line("\nthroughput\tvariant\tmedian/s\tleast\tmost\truns\tCPU s for 10,000: consumer\tbroker" +
		"\tdatabase\tcache")
	for _, l := range r.Lanes {
		cpu := func(process string) float64 { return l.Per10000[process].CPUSeconds }
		line("%s\t%s\t%.0f\t%.0f\t%.0f\t%d\t%.2f\t%.2f\t%.2f\t%.2f", l.Workload, l.Variant, l.Median,
			l.Least, l.Most, len(l.Runs), cpu(ours), cpu("broker"), cpu("database"), cpu("cache"))
	}
	if len(r.Ratios) > 0 {
		writeRest(line, r)
	}
}

// writeRest prints what a choice of lanes does not measure.
func writeRest(line func(format string, args ...any), r Result) {
	line("\nlatency\tvariant\tp50 ms\tp99 ms\tp99.9 ms\t(medians of the rounds)")
	for _, rate := range r.latencyRates() {
		for _, v := range []Variant{VariantService, VariantTextbook} {
			line("%d/s\t%s\t%.1f\t%.1f\t%.1f", rate, v,
				median(r.percentile(rate, v, func(l Latency) float64 { return l.P50 })),
				median(r.p99(rate, v)),
				median(r.percentile(rate, v, func(l Latency) float64 { return l.P999 })))
		}
	}
	line("\n10,000 new payments\tprocess\tCPU s\tMiB written\tMiB of memory")
	for _, v := range []Variant{VariantService, VariantNoResults, VariantTextbook} {
		l := r.lane(WorkloadNew, v)
		if l == nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(l.Per10000)) {
			u := l.Per10000[name]
			line("%s\t%s\t%.2f\t%.1f\t%.0f", v, name, u.CPUSeconds, mebibytes(u.BytesWritten),
				mebibytes(u.PeakBytes))
		}
	}
	line("\nconsumer's memory, a backlog of %d\t\t%.0f MiB\t(after %d messages in %.0f s)",
		r.Backlog.Messages, mebibytes(r.Backlog.PeakBytes), r.Backlog.Handled, r.Backlog.Seconds)
	line("\nratio\t\tmedian\tleast\tmost")
	for _, name := range slices.Sorted(maps.Keys(r.Ratios)) {
		line("%s\t\t%.2f\t%.2f\t%.2f", name, r.Ratios[name], r.Spreads[name][0], r.Spreads[name][1])
	}
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// WriteScale prints how throughput changes with each number.
func WriteScale(to io.Writer, s Scale) {
	_, _ = fmt.Fprintf(to, "\n%s\n", s.Machine)
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer func() { _ = t.Flush() }()
	for _, series := range []struct {
		name   string
		points []Point
	}{{"processes", s.Processes}, {"queues", s.Queues}, {"rows", s.Rows}} {
		_, _ = fmt.Fprintf(t, "\n%s\tmedian/s\tleast\tmost\tbeside it/s\tratio\t\n", series.name)
		for _, p := range series.points {
			_, _ = fmt.Fprintf(t, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t\n", p.N, median(p.PerSecond),
				slices.Min(p.PerSecond), slices.Max(p.PerSecond), median(p.Beside), p.Ratio)
		}
	}
}
