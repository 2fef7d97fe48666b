// Package tracingtest collects spans in memory, for tests of whoever makes them.
package tracingtest

import (
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/payment/internal/tracing"
)

// Span is a span as a test looks at it.
type Span struct {
	Name, Kind, ErrorType string
	// Trace, ID and Parent are IDs in hex; Parent is all zeroes for the first of a trace.
	Trace, ID, Parent string
	// Attributes are printed values by name.
	Attributes map[string]string
	// Links are the IDs of linked spans.
	Links []string
}

// Recorder keeps the spans that have ended. It is safe for concurrent use.
type Recorder struct{ exporter *tracetest.InMemoryExporter }

// New makes a Tracer that samples this percentage of the traces, and the Recorder of its spans.
func New(percent int) (*tracing.Tracer, *Recorder) {
	exporter := tracetest.NewInMemoryExporter()
	return tracing.NewSync(tracing.Config{Percent: percent}, exporter), &Recorder{exporter}
}

// Spans returns what has ended so far, in the order of the ends.
func (r *Recorder) Spans() []Span {
	var all []Span
	for _, s := range r.exporter.GetSpans() {
		span := Span{
			Name: s.Name, Kind: s.SpanKind.String(), Trace: s.SpanContext.TraceID().String(),
			ID: s.SpanContext.SpanID().String(), Parent: s.Parent.SpanID().String(),
			Attributes: map[string]string{},
		}
		for _, a := range s.Attributes {
			span.Attributes[string(a.Key)] = fmt.Sprint(a.Value.AsInterface())
		}
		span.ErrorType = span.Attributes["error.type"]
		for _, link := range s.Links {
			span.Links = append(span.Links, link.SpanContext.SpanID().String())
		}
		all = append(all, span)
	}
	return all
}

// Names are the names of the spans that have ended.
func (r *Recorder) Names() []string {
	var names []string
	for _, s := range r.Spans() {
		names = append(names, s.Name)
	}
	return names
}

// Named returns the spans of one name.
func (r *Recorder) Named(name string) []Span {
	return slices.DeleteFunc(r.Spans(), func(s Span) bool { return s.Name != name })
}
