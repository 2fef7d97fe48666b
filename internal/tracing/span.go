package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Property is the message property that carries the W3C trace context.
const Property = "traceparent"

// PropertyLength is how long a traceparent is, in bytes: version, trace, span and flags.
const PropertyLength = 55

// Span is one operation under way. A nil Span takes every call and does nothing.
type Span struct{ span trace.Span }

// Attributes describe a span: texts, and whole numbers.
type Attributes map[string]any

func (a Attributes) list() []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, len(a))
	for name, value := range a {
		switch v := value.(type) {
		case string:
			if v != "" {
				list = append(list, attribute.String(name, v))
			}
		case int:
			list = append(list, attribute.Int(name, v))
		case int64:
			list = append(list, attribute.Int64(name, v))
		}
	}
	return list
}

// Set adds to what is known of the operation.
func (s *Span) Set(attributes Attributes) {
	if s != nil {
		s.span.SetAttributes(attributes.list()...)
	}
}

// End ends the operation. The error type says in a word what went wrong, empty when nothing did.
func (s *Span) End(errorType string) {
	if s == nil {
		return
	}
	if errorType != "" {
		s.span.SetAttributes(attribute.String("error.type", errorType))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// Kind is a span's place between programs.
type Kind = trace.SpanKind

// The kinds of spans.
const (
	Internal = trace.SpanKindInternal
	Client   = trace.SpanKindClient
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Start begins a span under that of the context, or a trace if the context has none. Without a
// Tracer, or when the trace is not sampled, the span is nil, and the context still says which
// trace it belongs to.
func (t *Tracer) Start(
	ctx context.Context, name string, kind Kind, attributes func() Attributes,
) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(kind))
	if !span.IsRecording() {
		return ctx, nil
	}
	span.SetAttributes(attributes().list()...)
	return ctx, &Span{span}
}

// Sampled says whether Child would begin a span.
func Sampled(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Child begins a span under that of the context, by whichever Tracer made that; without a sampled
// span in the context it makes none. So whoever calls it needs no Tracer.
func Child(
	ctx context.Context, name string, kind Kind, attributes func() Attributes,
) (context.Context, *Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	t := Tracer{tracer: parent.TracerProvider().Tracer(scope)}
	return t.Start(ctx, name, kind, attributes)
}

// Batch begins the span of work that is done at once for many callers. It belongs to the trace of
// the first caller that is sampled, and has a link to each that is; they get a link to it. With no
// sampled caller there is none.
func Batch(
	ctx context.Context, name string, callers []context.Context,
) (context.Context, *Span) {
	var sampled []trace.Span
	for _, caller := range callers {
		if span := trace.SpanFromContext(caller); span.IsRecording() {
			sampled = append(sampled, span)
		}
	}
	if len(sampled) == 0 {
		return ctx, nil
	}
	all := make([]trace.Link, len(sampled))
	for i, span := range sampled {
		all[i] = trace.Link{SpanContext: span.SpanContext()}
	}
	parent := trace.ContextWithSpan(ctx, sampled[0])
	tracer := sampled[0].TracerProvider().Tracer(scope)
	ctx, span := tracer.Start(parent, name, trace.WithLinks(all...))
	for _, caller := range sampled {
		caller.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	return ctx, &Span{span}
}

// carrier gives the propagator the one field that there is.
type carrier struct{ traceparent string }

// Get returns the field, and nothing for others.
func (c *carrier) Get(key string) string {
	if key == Property {
		return c.traceparent
	}
	return ""
}

// Set sets the field, and no other.
func (c *carrier) Set(key, value string) {
	if key == Property {
		c.traceparent = value
	}
}

// Keys names the field.
func (c *carrier) Keys() []string { return []string{Property} }

// Extract puts the trace of a message into a context. What is no W3C trace context, which anybody
// may write, is left out.
func Extract(ctx context.Context, traceparent string) context.Context {
	if len(traceparent) != PropertyLength {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, &carrier{traceparent})
}

// Inject returns the trace of a context for a message's property, empty if it has none.
func Inject(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	var c carrier
	propagation.TraceContext{}.Inject(ctx, &c)
	return c.traceparent
}

// TraceID returns the ID of the context's trace, empty if it has none. It is for the log.
func TraceID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.IsValid() {
		return c.TraceID().String()
	}
	return ""
}
