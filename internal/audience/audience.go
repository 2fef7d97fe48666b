// Package audience listens to the result topic as callers of the payment service would. The demo
// and the fault rig hold what was answered against what was sent and what is in the database.
package audience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// Audience reads every result message. Its methods are safe for concurrent use.
type Audience struct {
	group  string
	reader *rocketmq.ResultReader
	admin  *rocketmq.Admin

	mu      sync.Mutex
	read    map[place]bool
	results []order.Result
	// of has the places in results of each message, by its unique ID.
	of map[string][]int
}

// place is where a result was read: the broker may hand one over twice.
type place struct {
	queue  int
	offset int64
}

// Listen begins to read at the first result that the broker has. The group must be nobody else's.
func Listen(ctx context.Context, nameServer, group string) (*Audience, error) {
	a := &Audience{group: group, read: map[place]bool{}, of: map[string][]int{}}
	reader, err := rocketmq.NewResultReader(rocketmq.ResultReaderConfig{
		NameServers: []string{nameServer}, Group: group,
		Topic: devstack.ResultTopic,
	}, a.take, zap.NewNop())
	if err != nil {
		return nil, err
	}
	if a.admin, err = rocketmq.NewAdmin([]string{nameServer}, "", ""); err != nil {
		return nil, err
	}
	a.reader = reader
	return a, reader.Start(ctx)
}

// Close stops listening.
func (a *Audience) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return a.reader.Close(ctx)
}

func (a *Audience) take(r order.Result, meta rocketmq.ResultMeta) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at := (place{meta.Queue, meta.Offset}); !a.read[at] {
		a.read[at] = true
		a.of[r.MessageID] = append(a.of[r.MessageID], len(a.results))
		a.results = append(a.results, r)
	}
	return nil
}

// Answers are the results of one message, in the order of their arrival.
func (a *Audience) Answers(messageID string) []order.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	answers := make([]order.Result, 0, len(a.of[messageID]))
	for _, at := range a.of[messageID] {
		answers = append(answers, a.results[at])
	}
	return answers
}

// Answered returns for each message that has an answer how many it has.
func (a *Audience) Answered() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := make(map[string]int, len(a.of))
	for id, places := range a.of {
		counts[id] = len(places)
	}
	return counts
}

// All returns every result read so far, in the order of arrival.
func (a *Audience) All() []order.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clip(a.results)
}

// Deliveries are all answers, one per delivery. A batch of results whose own answer was lost is
// sent again, word for word: that is one delivery still.
func (a *Audience) Deliveries() []order.Result {
	var distinct []order.Result
	seen := map[string]bool{}
	for _, r := range a.All() {
		text, err := order.EncodeResult(r)
		if err == nil && !seen[string(text)] {
			seen[string(text)] = true
			distinct = append(distinct, r)
		}
	}
	return distinct
}

// ErrBehind says that the broker has results that were not read yet.
var ErrBehind = errors.New("not all results are read")

// CaughtUp returns nil when everything that the result topic holds was read.
func (a *Audience) CaughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	queues, err := a.admin.Offsets(ctx, a.group, devstack.ResultTopic)
	if err != nil {
		return err
	}
	stored := 0
	for _, queue := range queues {
		stored += int(queue.Max)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.read) < stored {
		return fmt.Errorf("%w: %d of %d", ErrBehind, len(a.read), stored)
	}
	return nil
}
