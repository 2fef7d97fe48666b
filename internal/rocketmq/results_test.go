package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

func aResult(i int) order.Result {
	return order.Result{
		OrderID: order.ID(fmt.Sprintf("ORDERID_%d", i)), Serial: order.Serial(fmt.Sprintf("PAY_%d", i)),
		Outcome: order.Paid, DecidedAt: time.Unix(1_700_000_000, 0).UTC(), DecidedBy: "commit",
		MessageID: fmt.Sprintf("M%d", i), Attempt: 1, Instance: "test",
	}
}

// TestResults_Roundtrip: results sent at once go out in batches, each with its own key and
// unique ID, and a reader that comes later reads them all.
func TestResults_Roundtrip(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 4)
	results, err := NewResults(ResultsConfig{
		Producer: ProducerConfig{
			NameServers: b.nameServers, Group: "it-results", SendTimeout: sendTimeout,
		},
		Topic: topic,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	const total = 300
	var senders sync.WaitGroup
	for i := range total {
		senders.Go(func() {
			if err := results.Send(patient(t), aResult(i)); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	got := make(map[order.ID]order.Result)
	ids := make(map[string]bool)
	failed := false
	read := func(r order.Result, meta ResultMeta) error {
		mu.Lock()
		defer mu.Unlock()
		if !failed {
			failed = true
			return errors.New("not this time")
		}
		got[r.OrderID] = r
		ids[meta.MessageID] = true
		return nil
	}
	startReader(t, b, topic, read)
	eventually(t, "all results", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) == total
	})
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != total {
		t.Errorf("%d unique IDs, want %d", len(ids), total)
	}
	for i := range total {
		want := aResult(i)
		if diff := cmp.Diff(want, got[want.OrderID]); diff != "" {
			t.Fatalf("result %d (-sent +read):\n%s", i, diff)
		}
	}
}

func startReader(
	t *testing.T, b broker, topic string, read func(order.Result, ResultMeta) error,
) {
	t.Helper()
	reader, err := NewResultReader(ResultReaderConfig{
		NameServers: b.nameServers, Group: b.group(), Topic: topic,
	}, read, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	reader.consumer.config.ConsumeTimeout = time.Hour // or the client's own race is this test's
	t.Cleanup(func() {
		if err := reader.Close(patient(t)); err != nil {
			t.Error(err)
		}
	})
	if err := reader.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
}

// TestResultReader_NotAResult: what is not a result is skipped, not read again for ever.
func TestResultReader_NotAResult(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	send(t, b.producer(t), topic, "not-a-result")
	startReader(t, b, topic, func(order.Result, ResultMeta) error {
		t.Error("it was read")
		return nil
	})
	eventually(t, "it to be skipped", func() bool { return b.committed(t, topic) })
}

func scriptedResults(t *testing.T, client *scripted) *Results {
	t.Helper()
	return &Results{
		config:   ResultsConfig{Topic: "T"}.withDefaults(),
		producer: scriptedProducer(t, client),
	}
}

func someOutgoing(n, size int) []Outgoing {
	all := make([]Outgoing, n)
	for i := range all {
		all[i] = Outgoing{Topic: "T", Key: "k", Body: make([]byte, size), ID: fmt.Sprint(i)}
	}
	return all
}

// sizes returns the number of messages in each batch, and fails unless each message was sent
// in the order in which it came.
func sizes(t *testing.T, batches [][]*primitive.Message) []int {
	t.Helper()
	var lengths []int
	for _, b := range batches {
		lengths = append(lengths, len(b))
	}
	return lengths
}

// TestResults_BatchBytes: a batch stays under the limit of bytes.
func TestResults_BatchBytes(t *testing.T) {
	t.Parallel()
	client := &scripted{}
	r := scriptedResults(t, client)
	r.config.BatchBytes = 100 << 10
	for i, err := range r.publish(context.Background(), someOutgoing(5, 40<<10)) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if diff := cmp.Diff([]int{2, 2, 1}, sizes(t, client.batches)); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

// TestResults_Split: a batch that the broker finds too large goes out in halves.
func TestResults_Split(t *testing.T) {
	t.Parallel()
	client := &scripted{refuse: 2}
	for i, err := range scriptedResults(t, client).publish(context.Background(), someOutgoing(5, 1)) {
		if err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if diff := cmp.Diff([]int{5, 2, 3, 1, 2}, sizes(t, client.batches)); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
}

// TestResults_Errors: whatever may pass is for waiting; an illegal message is not.
func TestResults_Errors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		wait bool
	}{
		"Timeout":  {errors.New("request timeout"), true},
		"Busy":     {errors.New("CODE: 2, DESC: busy"), true},
		"ReadOnly": {errors.New("CODE: 16, DESC: the broker sending message is forbidden"), true},
		"NoTopic":  {errors.New("CODE: 17, DESC: no"), true},
		"Illegal":  {errors.New("CODE: 13, DESC: the message is illegal"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &scripted{ends: repeat(end{err: test.err})}
			errs := scriptedResults(t, client).publish(context.Background(), someOutgoing(1, 1))
			if got := errors.Is(errs[0], idem.ErrUnavailable); errs[0] == nil || got != test.wait {
				t.Errorf("error %v: unavailable is %v, want %v", errs[0], got, test.wait)
			}
		})
	}
}

// TestResults_TopicDown: a result topic that is missing, or a name server that is gone, is for
// waiting; a result that is none is not.
func TestResults_TopicDown(t *testing.T) {
	t.Parallel()
	results, err := NewResults(ResultsConfig{
		Producer: ProducerConfig{NameServers: []string{"127.0.0.1:1"}, Group: "g", Retries: -1},
		Topic:    "T",
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := results.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := results.Send(patient(t), aResult(1)); !errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("error %v, want unavailable", err)
	}
	bad := aResult(1)
	bad.Outcome = order.Retry
	if err := results.Send(patient(t), bad); err == nil || errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("a result that is none: %v", err)
	}
}
