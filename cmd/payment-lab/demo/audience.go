package demo

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// audience reads every result message, as callers of the payment service would.
type audience struct {
	reader *rocketmq.ResultReader

	mu      sync.Mutex
	read    map[place]bool
	results []order.Result
}

// place is where a result was read: the broker may hand one over twice.
type place struct {
	queue  int
	offset int64
}

func listen(ctx context.Context, nameServer string) (*audience, error) {
	a := &audience{read: map[place]bool{}}
	reader, err := rocketmq.NewResultReader(rocketmq.ResultReaderConfig{
		NameServers: []string{nameServer}, Group: "demo-audience",
		Topic: devstack.ResultTopic, CreateGroupTopics: true,
	}, a.take, zap.NewNop())
	if err != nil {
		return nil, err
	}
	a.reader = reader
	return a, reader.Start(ctx)
}

func (a *audience) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return a.reader.Close(ctx)
}

func (a *audience) take(r order.Result, meta rocketmq.ResultMeta) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := (place{meta.Queue, meta.Offset}); !a.read[at] {
		a.read[at] = true
		a.results = append(a.results, r)
	}
	return nil
}

// count is how many result messages were read.
func (a *audience) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.read)
}

// answers are the results of one message, in the order of their arrival.
func (a *audience) answers(messageID string) []order.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	var of []order.Result
	for _, r := range a.results {
		if r.MessageID == messageID {
			of = append(of, r)
		}
	}
	return of
}

// deliveries are all answers, one per delivery. A batch of results whose own answer was lost is
// sent again, word for word: that is one delivery still.
func (a *audience) deliveries() []order.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	var distinct []order.Result
	seen := map[string]bool{}
	for _, r := range a.results {
		text, err := order.EncodeResult(r)
		if err == nil && !seen[string(text)] {
			seen[string(text)] = true
			distinct = append(distinct, r)
		}
	}
	return distinct
}

// await waits until a message has n answers and returns them.
func (a *audience) await(ctx context.Context, messageID string, n int) ([]order.Result, error) {
	err := until(ctx, "the answer to message "+messageID, func() bool {
		return len(a.answers(messageID)) >= n
	})
	return a.answers(messageID), err
}

// awaitAll waits until every one of the messages has an answer.
func (a *audience) awaitAll(ctx context.Context, messages []sent) error {
	return until(ctx, "the answers to a load", func() bool {
		return !slices.ContainsFunc(messages, func(m sent) bool {
			return len(a.answers(m.MessageID)) == 0
		})
	})
}
