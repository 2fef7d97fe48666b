package rocketmq

import (
	"context"
	"testing"
	"time"

	"example.com/payment/internal/payment"
)

// TestConsumer_DrainUnderLoad: a consumer is stopped in the middle of its work. Nothing is lost,
// nothing climbs the retry ladder, and next to nothing is handled twice.
func TestConsumer_DrainUnderLoad(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 4)
	const total = 2000
	load(t, b, topic, total)
	config := b.consumerConfig(topic)
	config.Concurrency = 64
	first := newJournal()
	draining := make(chan struct{})
	one := consume(t, config, func(_ context.Context, m payment.Message) payment.Disposition {
		if first.add(m); first.distinct() > total/2 {
			<-draining // in the middle of it
		}
		return payment.Acknowledge
	})
	eventually(t, "half of the work", func() bool {
		return first.distinct() > total/2 && one.Stats().InFlight == config.Concurrency
	})
	go func() {
		defer close(draining)
		eventually(t, "the drain to begin", one.gate.isShut)
	}()
	if err := one.Drain(patient(t)); err != nil {
		t.Fatal(err)
	}
	handled := first.deliveries()
	if one.Stats().InFlight != 0 || one.Stats().Parked != 0 || one.Started() {
		t.Errorf("after the drain: %+v", one.Stats())
	}
	if handled > total/2+config.Concurrency {
		t.Errorf("%d handled: messages were taken after the drain had begun", handled)
	}

	second := newJournal()
	consume(t, config, acknowledging(second))
	eventually(t, "the rest", func() bool {
		return b.committed(t, topic) && union(first, second) == total
	})
	if first.deliveries() != handled {
		t.Errorf("%d handled after the drain", first.deliveries()-handled)
	}
	repeated := first.deliveries() + second.deliveries() - total
	t.Logf("drained after %d of %d; %d handled twice", handled, total, repeated)
	if repeated > config.Concurrency {
		t.Errorf("%d messages were handled twice, want at most %d", repeated, config.Concurrency)
	}
	for _, j := range []*journal{first, second} {
		for _, m := range j.last(total) {
			if m.Attempt != 1 {
				t.Errorf("%s: attempt %d: the drain sent it back", m.Key, m.Attempt)
			}
		}
	}
}

// TestConsumer_DrainDeadline: handlers that do not return are told to, while their messages can
// still be sent back, also by a slow broker.
func TestConsumer_DrainDeadline(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	config := b.consumerConfig(topic)
	config.DrainTimeout = 100 * time.Millisecond
	config.CancelGrace = time.Minute
	config.Settle = 3 * time.Second
	line := newCrossing(t, b)
	config.NameServers = line.nameServers
	waiting := make(chan struct{})
	one := consume(t, config, func(ctx context.Context, _ payment.Message) payment.Disposition {
		close(waiting)
		<-ctx.Done()
		return payment.Redeliver
	})
	send(t, b.producer(t), topic, "held")
	<-waiting
	line.slow(300 * time.Millisecond)
	if err := one.Drain(patient(t)); err != nil {
		t.Fatal(err)
	}
	config.NameServers = b.nameServers
	seen := newJournal()
	consume(t, config, acknowledging(seen))
	eventually(t, "the message again", func() bool {
		return seen.deliveries() > 0 && b.committed(t, topic)
	})
	if n := seen.deliveries(); n != 1 {
		t.Errorf("%d deliveries, want 1", n)
	}
	if m := seen.of("held")[0]; m.Attempt != 2 {
		t.Errorf("attempt %d, want 2: it was sent back before the shutdown", m.Attempt)
	}
}

// TestConsumer_DrainStuck: a handler that ignores its context does not hold up the end for ever.
func TestConsumer_DrainStuck(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	config := b.consumerConfig(topic)
	config.DrainTimeout = 50 * time.Millisecond
	config.CancelGrace = 50 * time.Millisecond
	waiting, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	c, err := NewConsumer(config, func(context.Context, payment.Message) payment.Disposition {
		close(waiting)
		<-free
		return payment.Acknowledge
	}, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	send(t, b.producer(t), topic, "stuck")
	<-waiting
	err = c.Drain(patient(t))
	wantError(t, err, "1 handlers have not returned")
	if err := c.Drain(patient(t)); err != nil {
		t.Errorf("second drain: %v", err)
	}
}

// TestConsumer_DrainInTime: the end of the context is the end of the drain, whatever hangs.
func TestConsumer_DrainInTime(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	config := b.consumerConfig(topic)
	config.DrainTimeout, config.CancelGrace = 10*time.Minute, time.Minute
	waiting, free := make(chan struct{}), make(chan struct{})
	defer close(free)
	c := unstarted(t, config)
	c.handler = func(context.Context, payment.Message) payment.Disposition {
		close(waiting)
		<-free
		return payment.Acknowledge
	}
	if err := c.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	send(t, b.producer(t), topic, "stuck")
	<-waiting
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Drain(ctx) }()
	select {
	case err := <-done:
		wantError(t, err, "1 handlers have not returned")
	case <-time.After(patience):
		t.Error("the drain goes on after its context")
	}
}

// TestConsumer_DrainUnstarted: there is nothing to drain.
func TestConsumer_DrainUnstarted(t *testing.T) {
	t.Parallel()
	c, err := NewConsumer(deafConfig(), nil, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(patient(t)); err != nil {
		t.Error(err)
	}
	wantError(t, c.Start(patient(t)), "started once")
}

// last returns the last messages, at most n.
func (j *journal) last(n int) []payment.Message {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.messages[max(0, len(j.messages)-n):]
}

// load sends many messages in batches.
func load(t *testing.T, b broker, topic string, total int) {
	t.Helper()
	r := &Results{
		config:   ResultsConfig{Topic: topic}.withDefaults(),
		producer: b.producer(t),
	}
	all := make([]Outgoing, total)
	for i, key := range keys(total) {
		all[i] = Outgoing{Topic: topic, Key: key, Body: []byte(key), ID: NewMessageID()}
	}
	for len(all) > 0 {
		n := min(20, len(all))
		for _, err := range r.publish(patient(t), all[:n]) {
			if err != nil {
				t.Fatal(err)
			}
		}
		all = all[n:]
	}
}

// union counts the keys that either has seen.
func union(a, b *journal) int {
	all := make(map[string]bool)
	for _, j := range []*journal{a, b} {
		j.mu.Lock()
		for key := range j.byKey {
			all[key] = true
		}
		j.mu.Unlock()
	}
	return len(all)
}
