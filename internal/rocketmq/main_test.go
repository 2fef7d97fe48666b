package rocketmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq/rocketmqtest"
)

// patience bounds every wait for a broker: redeliveries take tens of seconds with a broker's own
// delays, and the machine may be busy.
const patience = 3 * time.Minute

// sendTimeout is for sends that are counted: one whose answer is late is sent again, and is there
// twice.
const sendTimeout = time.Minute

// TestMain silences the client and looks for leaked goroutines.
func TestMain(m *testing.M) {
	if os.Getenv(leakScenario) == "" {
		QuietClientLogs(zap.NewNop())
	}
	goleak.VerifyTestMain(m, rocketmqtest.Leaks()...)
}

// broker is where a test's servers are, and the names that only this test uses.
type broker struct {
	nameServers []string
	address     string
	admin       *Admin
	name        string
}

// needBroker finds the servers in the environment.
func needBroker(t *testing.T) broker {
	t.Helper()
	servers, address := os.Getenv(NameServersSetting), os.Getenv("PAYMENT_TEST_BROKER")
	if servers == "" || address == "" {
		message := NameServersSetting + " and PAYMENT_TEST_BROKER are not set: needs a real broker"
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	b := broker{
		nameServers: strings.Split(servers, ","), address: address, name: "t" + rand.Text()[:12],
	}
	admin, err := NewAdmin(b.nameServers, "", "")
	if err != nil {
		t.Fatal(err)
	}
	b.admin = admin
	return b
}

// topic makes a topic of the test's own.
func (b broker) topic(t *testing.T, suffix string, queues int) string {
	t.Helper()
	name := "it_" + b.name + suffix
	b.create(t, name, queues)
	return name
}

func (b broker) create(t *testing.T, topic string, queues int) {
	t.Helper()
	insist(t, func(ctx context.Context) error {
		return b.admin.CreateTopic(ctx, b.address, topic, queues)
	})
}

func (b broker) route(t *testing.T, topic string) (route Route) {
	t.Helper()
	insist(t, func(ctx context.Context) (err error) {
		route, err = b.admin.Route(ctx, topic)
		return err
	})
	return route
}

// offsets are those of the test's group.
func (b broker) offsets(t *testing.T, topic string) (queues []QueueOffsets) {
	t.Helper()
	insist(t, func(ctx context.Context) (err error) {
		queues, err = b.admin.Offsets(ctx, b.group(), topic)
		return err
	})
	return queues
}

// insist repeats a call that may be repeated until a server answers it: one call has five seconds,
// which a server with a busy disk may take.
func insist(t *testing.T, call func(ctx context.Context) error) {
	t.Helper()
	var err error
	for ctx := patient(t); ctx.Err() == nil; sleep(ctx, 100*time.Millisecond) {
		if err = call(ctx); !errors.Is(err, idem.ErrUnavailable) && !refusedWith(err, respBusy) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// group is a group name of the test's own.
func (b broker) group() string { return "ig_" + b.name }

func (b broker) consumerConfig(topic string) ConsumerConfig {
	return ConsumerConfig{
		NameServers: b.nameServers, Group: b.group(), Topic: topic,
		Concurrency: 16, MaxCached: maxCached, ConsumeTimeout: time.Hour,
		DrainTimeout: 30 * time.Second,
	}
}

// consume starts a consumer that is drained when the test ends, if not before.
func consume(t *testing.T, config ConsumerConfig, handler Handler) *Consumer {
	t.Helper()
	c, err := NewConsumer(config, handler, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Drain(ctx); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
	if err := c.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (b broker) producer(t *testing.T) *Producer {
	t.Helper()
	p, err := NewProducer(ProducerConfig{
		NameServers: b.nameServers, Group: "it-producer", SendTimeout: sendTimeout,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// send sends messages with these keys, whose bodies are the keys.
func send(t *testing.T, p *Producer, topic string, keys ...string) {
	t.Helper()
	for _, key := range keys {
		out := Outgoing{Topic: topic, Tag: "pay", Key: key, Body: []byte(key)}
		if _, err := p.Send(patient(t), out); err != nil {
			t.Fatal(err)
		}
	}
}

func keys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("key-%04d", i)
	}
	return all
}

// patient is a context for waits in a test.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := patient(t)
	for !condition() {
		if ctx.Err() != nil {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		sleep(ctx, 20*time.Millisecond)
	}
}

// journal remembers what handlers were given.
type journal struct {
	mu       sync.Mutex
	messages []payment.Message
	byKey    map[string][]payment.Message
}

func newJournal() *journal { return &journal{byKey: make(map[string][]payment.Message)} }

// add returns how often the key has come.
func (j *journal) add(m payment.Message) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.messages = append(j.messages, m)
	j.byKey[m.Key] = append(j.byKey[m.Key], m)
	return len(j.byKey[m.Key])
}

func (j *journal) of(key string) []payment.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.byKey[key]
}

func (j *journal) distinct() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.byKey)
}

func (j *journal) deliveries() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.messages)
}

// committed says whether the group has committed everything in the topic and its retry topic.
func (b broker) committed(t *testing.T, topic string) bool {
	t.Helper()
	for _, name := range []string{topic, RetryTopic(b.group())} {
		for _, q := range b.offsets(t, name) {
			if q.Backlog() > 0 {
				return false
			}
		}
	}
	return true
}
