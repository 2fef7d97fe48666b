package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Limits of what is kept and sent.
const (
	// links bounds the links of a batch's span: as many as a batch has deliveries.
	links = 512
	// queued is how many spans may wait to be sent; more are dropped.
	queued = 8192
	// exportTimeout bounds one sending, and what Close waits for.
	exportTimeout = 5 * time.Second
)

// Config says where spans go. An empty Endpoint turns tracing off.
type Config struct {
	// Endpoint is the collector's OTLP address over HTTP, such as http://127.0.0.1:4318. A path
	// replaces the usual /v1/traces.
	Endpoint string
	// Percent of the traces that begin here are sampled, 0 to 100. A trace that began elsewhere is
	// sampled if it was there.
	Percent int
	// Service, Version and Instance say who made the spans.
	Service, Version, Instance string
	// OnError, if set, is told what went wrong with sending, and must not block.
	OnError func(error)
}

// Tracer makes spans. A nil Tracer makes none, and passes contexts on all the same. It is safe
// for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// scope names who made the spans within the program.
const scope = "example.com/payment"

// New makes a Tracer, or none if there is no endpoint. It connects to nobody: a collector that is
// away costs spans, and nothing else.
func New(ctx context.Context, cfg Config) (*Tracer, error) {
	if cfg.Endpoint == "" {
		return nil, nil
	}
	options, err := exporterOptions(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	processor := sdk.NewBatchSpanProcessor(&reporting{exporter, cfg.OnError},
		sdk.WithMaxQueueSize(queued), sdk.WithExportTimeout(exportTimeout))
	return newTracer(cfg, processor), nil
}

func newTracer(cfg Config, processor sdk.SpanProcessor) *Tracer {
	limits := sdk.NewSpanLimits()
	limits.LinkCountLimit = links
	provider := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(processor), sdk.WithRawSpanLimits(limits),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(float64(cfg.Percent)/100))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", cfg.Service),
			attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", cfg.Instance))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}
}

// exporterOptions turns an address into options. It is not left to the exporter's own variables,
// which would be settings that nobody sees.
func exporterOptions(endpoint string) ([]otlptracehttp.Option, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("tracing: the endpoint is not an address such as " +
			"http://127.0.0.1:4318")
	}
	path := u.Path
	if path == "" || path == "/" {
		path = "/v1/traces"
	}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpoint(u.Host), otlptracehttp.WithURLPath(path),
		otlptracehttp.WithTimeout(exportTimeout),
		// Spans that a collector does not take are dropped, not kept until memory is full.
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}),
	}
	if u.Scheme == "http" {
		options = append(options, otlptracehttp.WithInsecure())
	}
	return options, nil
}

// Close sends what waits and ends the sending. A nil Tracer has nothing to end.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, exportTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: the last spans were not sent: %w", err)
	}
	return nil
}

// reporting tells of failed sendings, which the library would report to a handler that all of the
// process shares.
type reporting struct {
	sdk.SpanExporter
	onError func(error)
}

// ExportSpans sends a batch of spans.
func (r *reporting) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	if err != nil && r.onError != nil {
		r.onError(err)
	}
	return nil
}

// NewSync makes a Tracer that gives each span to the exporter as it ends. It is for tests.
func NewSync(cfg Config, exporter sdk.SpanExporter) *Tracer {
	return newTracer(cfg, sdk.NewSimpleSpanProcessor(exporter))
}
