package rocketmq

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
	"example.com/payment/internal/tracing/tracingtest"
)

// TestTrace_ThroughTheBroker: the producer's trace comes with the message, with each delivery of
// it, and goes on to the result that the handler sends.
func TestTrace_ThroughTheBroker(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic, resultTopic := b.topic(t, "", 1), b.topic(t, "-results", 1)
	tracer, spans := tracingtest.New(100)
	results, err := NewResults(ResultsConfig{
		Producer: ProducerConfig{
			NameServers: b.nameServers, Group: "it-traces", SendTimeout: sendTimeout,
		},
		Topic: resultTopic,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = results.Close() })
	config := b.consumerConfig(topic)
	config.Tracer = tracer
	consume(t, config, func(ctx context.Context, m payment.Message) payment.Disposition {
		if m.Attempt == 1 || results.Send(ctx, aResult(1)) != nil {
			return payment.Redeliver
		}
		return payment.Acknowledge
	})
	traces := resultTraces(t, b, resultTopic)

	producer, err := NewProducer(ProducerConfig{
		NameServers: b.nameServers, Group: "it-traces", SendTimeout: sendTimeout, Tracer: tracer,
	}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = producer.Close() })
	receipt, err := producer.Send(patient(t), Outgoing{
		Topic: topic, Tag: "pay", Key: "K-1", Body: []byte("body"), Properties: map[string]string{"own": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the result", func() bool { return len(traces()) == 1 })
	eventually(t, "both deliveries", func() bool { return len(spans.Named("process "+topic)) == 2 })

	sent := spans.Named("send " + topic)[0]
	first, second := spans.Named("process " + topic)[0], spans.Named("process " + topic)[1]
	result := spans.Named("send " + resultTopic)[0]
	if first.Parent != sent.ID || second.Parent != sent.ID || result.Parent != second.ID {
		t.Errorf("not one line of descent:\n%+v\n%+v\n%+v\n%+v", sent, first, second, result)
	}
	if want := "00-" + sent.Trace + "-" + result.ID + "-01"; traces()[0] != want {
		t.Errorf("the result carries %q, want %q", traces()[0], want)
	}
	if first.ErrorType != "redelivered" || second.ErrorType != "" || sent.Kind != "producer" {
		t.Errorf("error types %q, %q, kind %s", first.ErrorType, second.ErrorType, sent.Kind)
	}
	want := map[string]string{
		"messaging.system": "rocketmq", "messaging.operation.name": "process",
		"messaging.operation.type": "process", "messaging.destination.name": topic,
		"messaging.destination.partition.id": receipt.Broker + ":0",
		"messaging.message.id":               receipt.MessageID, "messaging.message.body.size": "4",
		"messaging.consumer.group.name": b.group(), "messaging.rocketmq.message.keys": "K-1",
		"messaging.rocketmq.consumption_model": "clustering", "payment.delivery.attempt": "1",
		"error.type": "redelivered",
	}
	if diff := cmp.Diff(want, first.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// resultTraces reads a topic of results and returns what each carried as its trace.
func resultTraces(t *testing.T, b broker, topic string) func() []string {
	t.Helper()
	var mu sync.Mutex
	var traces []string
	config := b.consumerConfig(topic)
	config.Group += "_results"
	consume(t, config, func(_ context.Context, m payment.Message) payment.Disposition {
		if _, err := order.DecodeResult(m.Body); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		traces = append(traces, m.Trace)
		return payment.Acknowledge
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return traces
	}
}

// TestTrace_Foreign: whatever a sender writes into the property, it is passed on whole or not at
// all, and a message's own properties win.
func TestTrace_Foreign(t *testing.T) {
	t.Parallel()
	out := Outgoing{Properties: map[string]string{tracing.Property: "mine"}}
	ctx := tracing.Extract(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if got := out.traced(ctx).Properties[tracing.Property]; got != "mine" {
		t.Errorf("it became %q", got)
	}
	if got := out.traced(t.Context()); cmp.Diff(out, got) != "" {
		t.Errorf("without a trace it became %+v", got)
	}
}
