package bench

import (
	"fmt"
	"os"
	"strings"
)

// Measures of the plot, in pixels.
const (
	plotWidth  = 760
	plotLeft   = 150
	plotRight  = 120
	barHeight  = 18
	barGap     = 6
	groupGap   = 34
	plotTop    = 56
	plotBottom = 34
)

// bar is one bar of the plot.
type bar struct {
	label string
	lane  *LaneResult
}

// group is the bars of one workload.
type group struct {
	title string
	bars  []bar
}

// WritePlot writes the throughput of a result as a picture, with the machine's description.
func WritePlot(path string, r Result) error {
	return os.WriteFile(path, []byte(plot(r)), 0o644)
}

func (r *Result) groups() []group {
	titles := []struct {
		workload Workload
		title    string
	}{
		{WorkloadNew, "All new orders"},
		{WorkloadWarm, "All repeated, the cache knows"},
		{WorkloadCold, "All repeated, only the database knows"},
		{WorkloadHot, "All new, to one shop"},
		{WorkloadRows, "All new, into tables of a million payments"},
	}
	var all []group
	for _, t := range titles {
		g := group{title: t.title}
		for _, v := range []Variant{
			VariantDrop, VariantUnsafe, VariantNoResults, VariantService, VariantTextbook,
		} {
			if l := r.lane(t.workload, v); l != nil {
				g.bars = append(g.bars, bar{label: string(v), lane: l})
			}
		}
		if len(g.bars) > 0 {
			all = append(all, g)
		}
	}
	return all
}

// plot draws horizontal bars, a group for each workload, with the spread of the runs as a line. All
// share one scale, from zero.
func plot(r Result) string {
	groups := r.groups()
	most, height := 1.0, plotTop+plotBottom
	for _, g := range groups {
		height += groupGap + len(g.bars)*(barHeight+barGap)
		for _, b := range g.bars {
			most = max(most, b.lane.Most)
		}
	}
	scale := (plotWidth - plotLeft - plotRight) / most
	var out strings.Builder
	head(&out, height)
	y := plotTop
	for _, g := range groups {
		y += groupGap
		text(&out, plotLeft, y-8, "start", "title", g.title)
		for _, b := range g.bars {
			drawBar(&out, b, y, scale)
			y += barHeight + barGap
		}
	}
	text(&out, 16, height-12, "start", "note", r.Machine.String())
	out.WriteString("</svg>\n")
	return out.String()
}

func head(out *strings.Builder, height int) {
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" `+
		`viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="12">
<style>
  .drop, .unsafe { fill: #b8c0cc }
  .textbook { fill: #d9822b }
  .service { fill: #1f6feb }
  .service-noresults { fill: #6aa5f8 }
  .title { font-weight: bold }
  .note { font-size: 9.5px; fill: #57606a }
  .spread { stroke: #24292f; stroke-width: 1.5 }
</style>
<rect width="%[1]d" height="%[2]d" fill="white"/>
`, plotWidth, height)
	text(out, 16, 26, "start", "title", "Messages a second")
	text(out, 16, 44, "start", "note",
		"Median of the runs; the thin line spans the slowest and the fastest of them.")
}

func drawBar(out *strings.Builder, b bar, y int, scale float64) {
	end := plotLeft + b.lane.Median*scale
	middle := float64(y) + barHeight/2
	text(out, plotLeft-8, y+13, "end", "", b.label)
	fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n",
		b.label, plotLeft, y, end-plotLeft, barHeight)
	fmt.Fprintf(out, `<line class="spread" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`+"\n",
		plotLeft+b.lane.Least*scale, plotLeft+b.lane.Most*scale, middle, middle)
	text(out, int(plotLeft+b.lane.Most*scale)+8, y+13, "start", "", thousands(b.lane.Median))
}

func text(out *strings.Builder, x, y int, anchor, class, words string) {
	words = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(words)
	fmt.Fprintf(out, `<text class="%s" x="%d" y="%d" text-anchor="%s">%s</text>`+"\n",
		class, x, y, anchor, words)
}

// thousands rounds to three digits and groups them: 24,300/s.
func thousands(perSecond float64) string {
	step := 1
	for int(perSecond)/step >= 1000 {
		step *= 10
	}
	n := (int(perSecond) + step/2) / step * step
	if n < 1000 {
		return fmt.Sprintf("%d/s", n)
	}
	return fmt.Sprintf("%d,%03d/s", n/1000, n%1000)
}
