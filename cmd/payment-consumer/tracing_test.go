package main_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what a collector was sent, by the program's name.
type collected struct {
	address string
	mu      sync.Mutex
	spans   []*otlp.Span
	from    map[string]bool
}

// startCollector takes spans by OTLP over HTTP.
func startCollector(t *testing.T) *collected {
	t.Helper()
	c := &collected{from: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
			t.Errorf("not a request of OTLP: %s", r.URL)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range request.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					c.from[a.Value.GetStringValue()] = true
				}
			}
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.address = server.URL
	return c
}

// trace returns the spans of one trace by name.
func (c *collected) trace(id string) map[string]*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*otlp.Span{}
	for _, s := range c.spans {
		if hex.EncodeToString(s.TraceId) == id {
			found[s.Name] = s
		}
	}
	return found
}

// of returns the trace of the message with a key, empty if there is none yet.
func (c *collected) of(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		for _, a := range s.Attributes {
			if a.Key == "messaging.rocketmq.message.keys" && a.Value.GetStringValue() == key {
				return hex.EncodeToString(s.TraceId)
			}
		}
	}
	return ""
}

// TestTracing follows an order from its producer through the three steps, each statement and each
// round trip to its result, and finds its trace in the log.
func TestTracing(t *testing.T) {
	requireStack(t)
	spans := startCollector(t)
	env := []string{"PAYMENT_TRACING_ENDPOINT=" + spans.address, "PAYMENT_TRACING_SAMPLE_PERCENT=100"}
	c := startConsumer(t, env...)
	tag := strconv.FormatInt(time.Now().UnixNano(), 36)
	o := run(t, "order-producer", env, "send", "--order-id", "TRACED_"+tag, "--serial", "TRACE_"+tag,
		"--payer", "user-1", "--payee", "shop-1", "--amount", "1.00")
	if o.status != 0 {
		t.Fatalf("send: %s%s", o.stdout, o.stderr)
	}
	want := []string{
		"send ORDER_PAYMENT", "process ORDER_PAYMENT", "commit batch",
		"step 1: look up in the cache", "step 2: look up in the database", "step 3: pay and commit",
		"write to the cache", "GETRANGE", "SET", "SELECT accounts", "INSERT payments",
		"INSERT ledger_entries", "COMMIT", "send PAYMENT_RESULT",
	}
	var got map[string]*otlp.Span
	await(t, "the whole trace", func() bool {
		got = spans.trace(spans.of("TRACED_" + tag))
		return !slices.ContainsFunc(want, func(name string) bool { return got[name] == nil })
	})
	for child, parent := range map[string]string{
		"process ORDER_PAYMENT": "send ORDER_PAYMENT", "commit batch": "process ORDER_PAYMENT",
		"step 3: pay and commit": "commit batch", "INSERT payments": "step 3: pay and commit",
		"COMMIT": "step 3: pay and commit", "SET": "write to the cache",
		"send PAYMENT_RESULT": "process ORDER_PAYMENT",
	} {
		if string(got[child].ParentSpanId) != string(got[parent].SpanId) {
			t.Errorf("%q is not under %q", child, parent)
		}
	}
	if links := got["commit batch"].Links; len(links) != 1 ||
		string(links[0].SpanId) != string(got["process ORDER_PAYMENT"].SpanId) {
		t.Errorf("the batch has the links %v", links)
	}
	trace := hex.EncodeToString(got["COMMIT"].TraceId)
	if !strings.Contains(c.log.String(), `"trace_id":"`+trace+`"`) {
		t.Errorf("trace %s is not in the log:\n%s", trace, tail(c.log.String()))
	}
	spans.mu.Lock()
	defer spans.mu.Unlock()
	if !spans.from["order-producer"] || !spans.from["payment-consumer"] {
		t.Errorf("spans came from %v", spans.from)
	}
	for _, s := range spans.spans {
		if text := s.String(); strings.Contains(text, "TRACE_"+tag) || strings.Contains(text, "user-1") {
			t.Errorf("span %s holds a value: %s", s.Name, text)
		}
	}
}

// TestTracing_CollectorAway: without a collector orders are paid all the same.
func TestTracing_CollectorAway(t *testing.T) {
	requireStack(t)
	db := database(t)
	c := startConsumer(t, "PAYMENT_TRACING_ENDPOINT=http://127.0.0.1:1",
		"PAYMENT_TRACING_SAMPLE_PERCENT=100")
	before := decisions(t, db)
	mustRun(t, "order-producer", "load", "--orders", "200", "--seed", "12")
	await(t, "200 decisions", func() bool { return decisions(t, db)-before >= 200 })
	if status := c.stop(t); status != 0 {
		t.Errorf("exit status %d:\n%s", status, tail(c.log.String()))
	}
	if !strings.Contains(c.log.String(), "spans were not sent") {
		t.Error("nothing is said of the collector")
	}
}
