package rocketmq

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
)

// TestClientResult: only one answer acknowledges.
func TestClientResult(t *testing.T) {
	t.Parallel()
	for d := range 256 {
		want := consumer.ConsumeRetryLater
		if payment.Disposition(d) == payment.Acknowledge {
			want = consumer.ConsumeSuccess
		}
		if got := clientResult(payment.Disposition(d)); got != want {
			t.Errorf("disposition %d: result %v, want %v", d, got, want)
		}
	}
}

// TestConsumer_Deliver: the listener itself, as the client calls it.
func TestConsumer_Deliver(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zapcore.DebugLevel)
	var got []payment.Message
	c, err := NewConsumer(deafConfig(), func(_ context.Context, m payment.Message) payment.Disposition {
		got = append(got, m)
		if m.Key == "panic" {
			panic(errors.New(string(m.Body)))
		}
		return payment.Acknowledge
	}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		messages []*primitive.MessageExt
		want     consumer.ConsumeResult
	}{
		"None":    {nil, consumer.ConsumeRetryLater},
		"Two":     {[]*primitive.MessageExt{aMessage("a"), aMessage("b")}, consumer.ConsumeRetryLater},
		"NoQueue": {[]*primitive.MessageExt{{}}, consumer.ConsumeRetryLater},
		"One":     {[]*primitive.MessageExt{aMessage("a")}, consumer.ConsumeSuccess},
		"Panic":   {[]*primitive.MessageExt{aMessage("panic")}, consumer.ConsumeRetryLater},
	} {
		result, err := c.deliver(context.Background(), test.messages...)
		if result != test.want || err != nil {
			t.Errorf("%s: result %v, error %v", name, result, err)
		}
	}
	if len(got) != 2 {
		t.Errorf("the handler was given %d messages, want 2", len(got))
	}
	for _, line := range lines.All() {
		if strings.Contains(line.Message+line.Entry.Stack, marker) {
			t.Errorf("a body in %q", line.Message)
		}
		for name, value := range line.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, marker) {
				t.Errorf("a body in field %s", name)
			}
		}
	}
}

func aMessage(key string) *primitive.MessageExt {
	m := &primitive.MessageExt{OffsetMsgId: "offset-id", ReconsumeTimes: 2, BornTimestamp: 1_700_000_000_123}
	m.Topic = "T"
	m.Body = append(make([]byte, 0, 100), marker...)
	m.Queue = &primitive.MessageQueue{Topic: "T", BrokerName: "b", QueueId: 3}
	m.QueueOffset = 9
	m.WithKeys([]string{key})
	return m
}

func TestToMessage(t *testing.T) {
	t.Parallel()
	want := payment.Message{
		Topic: "T", Key: "k", ID: "offset-id", Body: []byte(marker), Broker: "b", Queue: 3, Offset: 9,
		Attempt: 3, BornAt: time.UnixMilli(1_700_000_000_123),
	}
	m := aMessage("k")
	got := toMessage(m)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if cap(got.Body) != len(got.Body) {
		t.Error("the body can grow into what follows it")
	}
	m.WithProperty(primitive.PropertyOriginMessageId, "origin-id")
	if id := toMessage(m).ID; id != "origin-id" {
		t.Errorf("ID %s of a redelivery without a unique ID", id)
	}
	m.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, "unique-id")
	if id := toMessage(m).ID; id != "unique-id" {
		t.Errorf("ID %s, want the unique ID", id)
	}
	m.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, strings.Repeat("<", 12_000))
	if id := toMessage(m).ID; len(id) != maxID {
		t.Errorf("an ID of %d bytes, want it cut to %d", len(id), maxID)
	}
	m.WithProperty(primitive.PropertyRetryTopic, "ORIGIN")
	if topic := toMessage(m).Topic; topic != "T" {
		t.Errorf("topic %s: anybody can write that property", topic)
	}
	m.Topic = DeadLetterTopic("g")
	if topic := toMessage(m).Topic; topic != "ORIGIN" {
		t.Errorf("topic %s of a dead letter", topic)
	}
}

// TestGate: what comes after the gate is shut waits, and is told no in the end.
func TestGate(t *testing.T) {
	t.Parallel()
	g := newGate()
	if !g.enter() {
		t.Fatal("an open gate said no")
	}
	idle := g.close()
	answer := make(chan bool)
	go func() { answer <- g.enter() }()
	eventually(t, "one to park", func() bool { _, parked := g.counts(); return parked == 1 })
	select {
	case <-idle:
		t.Error("idle while one runs")
	case <-answer:
		t.Error("the parked one went")
	default:
	}
	g.leave()
	<-idle
	empty := g.release()
	if <-answer {
		t.Error("the parked one was let through")
	}
	<-empty
	if g.enter() {
		t.Error("a released gate let one through")
	}
	if running, parked := g.counts(); running != 0 || parked != 0 {
		t.Errorf("%d run and %d are parked", running, parked)
	}
}

func TestConsumerConfig(t *testing.T) {
	t.Parallel()
	good := deafConfig()
	for name, change := range map[string]func(*ConsumerConfig){
		"no name server given":   func(c *ConsumerConfig) { c.NameServers = nil },
		`"a;b:1"`:                func(c *ConsumerConfig) { c.NameServers = []string{"a;b:1"} },
		"is not host:port":       func(c *ConsumerConfig) { c.NameServers = []string{"localhost"} },
		"port from 1 to 65535":   func(c *ConsumerConfig) { c.NameServers = []string{"localhost:99999"} },
		"go together":            func(c *ConsumerConfig) { c.AccessKey = "a" },
		`group ""`:               func(c *ConsumerConfig) { c.Group = "" },
		`topic "a b"`:            func(c *ConsumerConfig) { c.Topic = "a b" },
		`tag "a || b"`:           func(c *ConsumerConfig) { c.Tag = "a || b" },
		"concurrency: -1":        func(c *ConsumerConfig) { c.Concurrency = -1 },
		"redeliveries: -1":       func(c *ConsumerConfig) { c.MaxRedeliveries = -1 },
		"consume timeout: 1m0s":  func(c *ConsumerConfig) { c.ConsumeTimeout = time.Minute },
		"cached messages: 1 ":    func(c *ConsumerConfig) { c.MaxCached = 1 },
		"settle time: 1h0m0s":    func(c *ConsumerConfig) { c.Settle = time.Hour },
		"where its dead letters": func(c *ConsumerConfig) { c.Topic = DeadLetterTopic("g") },
	} {
		config := good
		change(&config)
		_, err := NewConsumer(config, nil, zap.NewNop())
		wantError(t, err, name)
	}
	one, err := NewConsumer(good, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewConsumer(good, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if one.config.Instance == two.config.Instance {
		t.Error("two consumers have one name")
	}
	if one.config.MaxRedeliveries != 16 || one.config.MaxCached != 4096 {
		t.Errorf("defaults %+v", one.config)
	}
	one.limits.cancel()
	two.limits.cancel()
}

// TestDecodeRoute: as current name servers write it, and as those before 4.9.4 do.
func TestDecodeRoute(t *testing.T) {
	t.Parallel()
	const current = `{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911","1":"127.0.0.1:10921"},` +
		`"brokerName":"a"},{"brokerAddrs":{"1":"127.0.0.1:10931"},"brokerName":"b"}],` +
		`"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":8,"writeQueueNums":4},` +
		`{"brokerName":"b","perm":4,"readQueueNums":8,"writeQueueNums":8}]}`
	want := Route{Topic: "T", Brokers: []RouteBroker{
		{Name: "a", Address: "127.0.0.1:10911", ReadQueues: 8, WriteQueues: 4, Readable: true, Writable: true},
		{Name: "b", ReadQueues: 8, WriteQueues: 8, Readable: true},
	}}
	old := strings.NewReplacer(`{"0":`, `{0:`, `,"1":`, `,1:`, `{"1":`, `{1:`).Replace(current)
	for name, body := range map[string]string{"Current": current, "Old": old} {
		got, err := decodeRoute("T", []byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if !want.Readable() || !want.Writable() {
		t.Error("the route can be read and written")
	}
	readOnly := Route{Brokers: want.Brokers[1:]}
	if readOnly.Writable() || !readOnly.Readable() || (Route{}).Readable() {
		t.Error("a slave is taken for a master")
	}
	_, err := decodeRoute("T", []byte("{"))
	wantError(t, err, "route of topic T")
}

// TestCredentials_Sign: the values in the order of their names, then the body, as the brokers
// compute it. The expected value is from the reference implementation's algorithm, by hand.
func TestCredentials_Sign(t *testing.T) {
	t.Parallel()
	creds := credentials{accessKey: "rocketmq2", secretKey: "12345678"}
	fields := map[string]string{"topic": "T", "b": "2"}
	signed := creds.sign(fields, []byte("body"))
	// printf 'rocketmq22Tbody' | openssl dgst -sha1 -hmac 12345678 -binary | base64
	if got, want := signed["Signature"], "pjH6ISrTaXPy8UjvcYcDPAwYmcc="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	if len(fields) != 2 {
		t.Error("the caller's fields were changed")
	}
	if got := (credentials{}).sign(fields, nil); len(got) != 2 {
		t.Error("signed without a key")
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                   "plain",
		"two\nlines\x1b[31m\x00":  "two lines [31m ",
		"bad\xff":                 "bad?",
		strings.Repeat("x", 1000): strings.Repeat("x", maxTextBytes) + "...",
	} {
		if got := bounded(in); got != want {
			t.Errorf("bounded(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	err := unavailable("broker %s: %w", "b", context.DeadlineExceeded)
	if !errors.Is(err, idem.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) ||
		err.Error() != "broker b: context deadline exceeded" {
		t.Errorf("error %v", err)
	}
}
