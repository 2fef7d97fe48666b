package tracing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/payment/internal/tracing"
	"example.com/payment/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func none() tracing.Attributes { return nil }

// A trace goes through a message's property into another program.
func TestTracer_AcrossAMessage(t *testing.T) {
	t.Parallel()
	tracer, spans := tracingtest.New(100)
	ctx, send := tracer.Start(t.Context(), "send TOPIC", tracing.Producer, func() tracing.Attributes {
		return tracing.Attributes{"text": "a", "number": 7, "none": "", "odd": 1.5}
	})
	property := tracing.Inject(ctx)
	send.End("")

	received := tracing.Extract(t.Context(), property)
	if got := tracing.TraceID(received); got != tracing.TraceID(ctx) || got == "" {
		t.Errorf("the trace is %q, want %q", got, tracing.TraceID(ctx))
	}
	inner, process := tracer.Start(received, "process TOPIC", tracing.Consumer, none)
	_, query := tracing.Child(inner, "SELECT", tracing.Client, none)
	query.Set(tracing.Attributes{"rows": 2})
	query.End("timeout")
	process.End("")

	all := spans.Spans()
	if diff := cmp.Diff([]string{"send TOPIC", "SELECT", "process TOPIC"}, spans.Names()); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if all[2].Parent != all[0].ID || all[1].Parent != all[2].ID || all[1].Trace != all[0].Trace {
		t.Errorf("not one line of descent: %+v", all)
	}
	if diff := cmp.Diff(map[string]string{"text": "a", "number": "7"}, all[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if all[1].ErrorType != "timeout" || all[1].Attributes["rows"] != "2" {
		t.Errorf("%+v", all[1])
	}
}

// A trace that is not sampled where it began is not sampled here, and its ID goes on all the same.
func TestTracer_NotSampled(t *testing.T) {
	t.Parallel()
	never, spans := tracingtest.New(0)
	always, others := tracingtest.New(100)
	ctx, span := never.Start(t.Context(), "send", tracing.Producer, none)
	property := tracing.Inject(ctx)
	if span != nil || property == "" {
		t.Errorf("span %v, property %q", span, property)
	}
	received := tracing.Extract(t.Context(), property)
	inner, process := always.Start(received, "process", tracing.Consumer, none)
	_, child := tracing.Child(inner, "SELECT", tracing.Client, none)
	_, batch := tracing.Batch(t.Context(), "batch", []context.Context{inner, inner})
	if process != nil || child != nil || batch != nil || tracing.TraceID(inner) == "" {
		t.Error("a trace that was not sampled has spans")
	}
	child.Set(tracing.Attributes{"a": "b"}) // a nil span takes it
	child.End("x")
	if n := len(spans.Spans()) + len(others.Spans()); n != 0 {
		t.Errorf("%d spans", n)
	}
}

// Without a tracer a trace still goes through.
func TestTracer_Off(t *testing.T) {
	t.Parallel()
	off, err := tracing.New(t.Context(), tracing.Config{})
	if off != nil || err != nil {
		t.Fatalf("%v, %v", off, err)
	}
	const property = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx, span := off.Start(tracing.Extract(t.Context(), property), "x", tracing.Consumer, none)
	span.End("")
	if got := tracing.Inject(ctx); got != property {
		t.Errorf("the property became %q", got)
	}
	if got := tracing.Inject(t.Context()); got != "" {
		t.Errorf("no trace became %q", got)
	}
	if err := off.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What anybody may write into the property is no reason to do anything.
func TestExtract_Garbage(t *testing.T) {
	t.Parallel()
	const trace = "0af7651916cd43dd8448eb211c80319c"
	for _, property := range []string{
		"", "x", strings.Repeat("0", 55), strings.Repeat("x", 1<<20),
		"00-" + trace + "-b7ad6b7169203331", "00-" + trace + "-0000000000000000-01",
		"00-" + strings.ToUpper(trace) + "-b7ad6b7169203331-01",
		"ff-" + trace + "-b7ad6b7169203331-01", "00-" + trace + "-b7ad6b716920333\n-01",
	} {
		if got := tracing.TraceID(tracing.Extract(t.Context(), property)); got != "" {
			t.Errorf("%.60q is taken for trace %s", property, got)
		}
	}
}

// The batch belongs to the first sampled trace, has links to all, and all have one to it.
func TestBatch_Links(t *testing.T) {
	t.Parallel()
	tracer, spans := tracingtest.New(100)
	var callers []context.Context
	var ends []*tracing.Span
	callers = append(callers, t.Context()) // one without a trace
	for range 300 {
		ctx, span := tracer.Start(t.Context(), "process", tracing.Consumer, none)
		callers, ends = append(callers, ctx), append(ends, span)
	}
	ctx, batch := tracing.Batch(t.Context(), "commit batch", callers)
	_, child := tracing.Child(ctx, "step", tracing.Internal, none)
	child.End("")
	batch.End("")
	for _, span := range ends {
		span.End("")
	}
	b, all := spans.Named("commit batch")[0], spans.Named("process")
	if len(b.Links) != 300 || b.Trace != all[0].Trace || b.Parent != all[0].ID {
		t.Errorf("%d links, trace %s under %s", len(b.Links), b.Trace, b.Parent)
	}
	for _, process := range all {
		if diff := cmp.Diff([]string{b.ID}, process.Links); diff != "" {
			t.Fatalf("links of a delivery (-want +got):\n%s", diff)
		}
	}
	if step := spans.Named("step")[0]; step.Parent != b.ID {
		t.Errorf("the step is under %s, want the batch", step.Parent)
	}
}

func TestNew_Endpoint(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://", "::"} {
		if _, err := tracing.New(t.Context(), tracing.Config{Endpoint: endpoint}); err == nil {
			t.Errorf("%s is accepted", endpoint)
		}
	}
}
