package redis

import (
	"strings"
	"testing"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/tracing"
	"example.com/payment/internal/tracing/tracingtest"
)

// Each round trip of a traced caller is a span, without keys and values.
func TestTrace_RoundTrips(t *testing.T) {
	t.Parallel()
	cfg, _ := realServer(t)
	c := newCache(t, cfg)
	tracer, spans := tracingtest.New(100)
	ctx, span := tracer.Start(t.Context(), "batch", tracing.Internal,
		func() tracing.Attributes { return nil })
	if err := c.Put(ctx, []idem.Record[answer]{record("SECRET-1", "a"), record("SECRET-2", "b")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(ctx, []idem.Key{"SECRET-1", "SECRET-2", "SECRET-3"}); err != nil {
		t.Fatal(err)
	}
	span.End("")
	for name, size := range map[string]string{"SET": "2", "GETRANGE": "3"} {
		found := spans.Named(name)
		if len(found) != 1 || found[0].Attributes["db.operation.batch.size"] != size ||
			found[0].ErrorType != "" || found[0].Kind != "client" {
			t.Errorf("%s: %+v", name, found)
		}
	}
	for _, s := range spans.Spans() {
		for _, value := range s.Attributes {
			if strings.Contains(value, "SECRET") {
				t.Errorf("%s shows a key: %v", s.Name, s.Attributes)
			}
		}
	}
	if _, err := c.Get(t.Context(), []idem.Key{"SECRET-1"}); err != nil {
		t.Fatal(err)
	}
	if n := len(spans.Named("GETRANGE")); n != 1 {
		t.Errorf("a caller without a trace made a span: %d", n)
	}
}
