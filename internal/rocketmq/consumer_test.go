package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/payment/internal/payment"
	"example.com/payment/internal/remoting"
)

// TestConsumer_Answers: whatever a handler does but acknowledge, its message comes again, and
// soon; what it acknowledges does not. The client by itself acknowledges the zero result and
// lets a panicked message lie for 15 minutes.
func TestConsumer_Answers(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 4)
	seen := newJournal()
	var panics atomic.Int64
	config := b.consumerConfig(topic)
	config.Hooks.OnPanic = func() { panics.Add(1) }
	c := consume(t, config, func(_ context.Context, m payment.Message) payment.Disposition {
		if seen.add(m) > 1 {
			return payment.Acknowledge
		}
		switch m.Key {
		case "zero":
			return 0
		case "unknown":
			return 77
		case "redeliver":
			return payment.Redeliver
		case "panic":
			panic("a handler's mistake")
		default:
			return payment.Acknowledge
		}
	})
	failing := []string{"zero", "unknown", "redeliver", "panic"}
	p := b.producer(t)
	send(t, p, topic, append(failing, "fine")...)

	eventually(t, "two deliveries of each failed message, one of the other", func() bool {
		return seen.deliveries() == 9 && seen.distinct() == 5
	})
	for _, key := range failing {
		first, second := seen.of(key)[0], seen.of(key)[1]
		if first.Attempt != 1 || second.Attempt != 2 {
			t.Errorf("%s: attempts %d, %d, want 1, 2", key, first.Attempt, second.Attempt)
		}
		if first.ID != second.ID || first.ID == "" {
			t.Errorf("%s: unique IDs %q, %q, want the same", key, first.ID, second.ID)
		}
		if second.Topic != topic || string(second.Body) != key {
			t.Errorf("%s: redelivered as %s %q", key, second.Topic, second.Body)
		}
	}
	eventually(t, "all committed", func() bool { return b.committed(t, topic) })
	eventually(t, "nothing in flight", func() bool { return c.Stats().InFlight == 0 })
	if n := seen.deliveries(); n != 9 {
		t.Errorf("%d deliveries, want 9: something acknowledged came again", n)
	}
	if panics.Load() != 1 || c.Stats().Delivered != 9 {
		t.Errorf("%d panics were told of; %d delivered", panics.Load(), c.Stats().Delivered)
	}
}

// TestConsumer_FirstOffset: a new group reads what was there before it. The client's default is
// to begin after the last message.
func TestConsumer_FirstOffset(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 4)
	send(t, b.producer(t), topic, keys(40)...)
	config := b.consumerConfig(topic)
	// A broker that has the messages in memory still hides the mistake.
	config.NameServers = newCrossing(t, b).nameServers
	seen := newJournal()
	consume(t, config, acknowledging(seen))
	eventually(t, "the old messages", func() bool { return seen.distinct() == 40 })
}

// TestConsumer_Tag: other tags are not delivered, and are committed all the same.
func TestConsumer_Tag(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	p := b.producer(t)
	for _, tag := range []string{"other", "pay", "", "other"} {
		out := Outgoing{Topic: topic, Tag: tag, Key: "tag-" + tag, Body: []byte("x")}
		if _, err := p.Send(patient(t), out); err != nil {
			t.Fatal(err)
		}
	}
	seen := newJournal()
	config := b.consumerConfig(topic)
	config.Tag = "pay"
	consume(t, config, acknowledging(seen))
	eventually(t, "all committed", func() bool { return b.committed(t, topic) })
	if seen.deliveries() != 1 || len(seen.of("tag-pay")) != 1 {
		t.Errorf("delivered %d messages, want the one with the tag", seen.deliveries())
	}
}

// TestConsumer_TwoInstances: two consumers in one process divide the queues. With the client's
// names they would be one and the same, and read the same half.
func TestConsumer_TwoInstances(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 8)
	p := b.producer(t)
	seen := [2]*journal{newJournal(), newJournal()}
	for i := range seen {
		consume(t, b.consumerConfig(topic), acknowledging(seen[i]))
	}
	// Until the queues are divided for the second time, some have two readers, or none.
	var rounds [][]string
	eventually(t, "three rounds in a row of which each had a share", func() bool {
		round := make([]string, 8)
		for i := range round {
			round[i] = fmt.Sprintf("round-%d-key-%d", len(rounds), i)
		}
		rounds = append(rounds, round)
		send(t, p, topic, round...)
		eventually(t, "a round", func() bool {
			return union(seen[0], seen[1]) == len(round)*len(rounds)
		})
		return len(rounds) >= 3 && divided(seen, rounds[len(rounds)-3:])
	})
}

// divided says whether each key came once, each queue had one reader, and both readers had a share
// of each round.
func divided(seen [2]*journal, rounds [][]string) bool {
	owner := make(map[int]int)
	for _, round := range rounds {
		var shares [2]int
		for _, key := range round {
			reader := len(seen[1].of(key)) // 1 if the second has it
			if len(seen[0].of(key))+reader != 1 {
				return false
			}
			queue := seen[reader].of(key)[0].Queue
			if other, ok := owner[queue]; ok && other != reader {
				return false
			}
			owner[queue] = reader
			shares[reader]++
		}
		if shares[0] == 0 || shares[1] == 0 {
			return false
		}
	}
	return true
}

// TestConsumer_HandlerContext: a handler's context ends at the handler timeout.
func TestConsumer_HandlerContext(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	config := b.consumerConfig(topic)
	config.HandlerTimeout = 200 * time.Millisecond
	var once sync.Once
	ended := make(chan error, 1)
	seen := newJournal()
	consume(t, config, func(ctx context.Context, m payment.Message) payment.Disposition {
		once.Do(func() {
			<-ctx.Done()
			ended <- ctx.Err()
		})
		seen.add(m)
		return payment.Acknowledge
	})
	send(t, b.producer(t), topic, "slow")
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context ended with %v", err)
		}
	case <-patient(t).Done():
		t.Fatal("the handler's context did not end")
	}
	eventually(t, "the late answer to count", func() bool { return b.committed(t, topic) })
	if seen.deliveries() != 1 {
		t.Errorf("%d deliveries, want 1", seen.deliveries())
	}
}

// TestConsumer_DeadLetters: a message that fails too often becomes a dead letter, and a second
// consumer reads it, under its own topic's name, also when that one fails at first. The client
// finds no handler for such a redelivery.
func TestConsumer_DeadLetters(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 2)
	config := b.consumerConfig(topic)
	config.MaxRedeliveries = 1
	failed := newJournal()
	consume(t, config, func(_ context.Context, m payment.Message) payment.Disposition {
		failed.add(m)
		return payment.Redeliver
	})
	drained := newJournal()
	drainer := b.consumerConfig(DeadLetterTopic(b.group()))
	drainer.Group += "-dlq"
	drainer.OriginTopics = []string{topic}
	drainer.MaxRedeliveries = Unlimited
	consume(t, drainer, func(_ context.Context, m payment.Message) payment.Disposition {
		if drained.add(m) < 2 {
			return payment.Redeliver
		}
		return payment.Acknowledge
	})
	send(t, b.producer(t), topic, "poison")
	eventually(t, "two deliveries of the dead letter", func() bool {
		return drained.deliveries() == 2
	})
	if n := failed.deliveries(); n != 2 {
		t.Errorf("%d deliveries before it was a dead letter, want 2", n)
	}
	origin := failed.of("poison")[0]
	for i, m := range drained.of("poison") {
		if m.Topic != topic || m.ID != origin.ID || string(m.Body) != "poison" {
			t.Errorf("dead letter: topic %s, ID %s, want %s, %s", m.Topic, m.ID, topic, origin.ID)
		}
		if m.Attempt != 3+i {
			t.Errorf("dead letter: attempt %d, want %d", m.Attempt, 3+i)
		}
		if !m.BornAt.Equal(origin.BornAt) {
			t.Errorf("dead letter: born at %v, want %v", m.BornAt, origin.BornAt)
		}
	}
}

// TestConsumer_ForeignRetryTopic: a message that names another topic as its origin would find no
// handler when it comes again, and must not be given back; every other one may be.
func TestConsumer_ForeignRetryTopic(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	seen := newJournal()
	consume(t, b.consumerConfig(topic), func(_ context.Context, m payment.Message) payment.Disposition {
		if seen.add(m) == 1 && m.Defect == "" {
			return payment.Redeliver
		}
		return payment.Acknowledge
	})
	for key, property := range map[string]string{
		"plain": "", "own": topic, "foreign": "SOME_OTHER_TOPIC",
	} {
		properties := "KEYS\x01" + key + "\x02TAGS\x01pay\x02"
		if property != "" {
			properties += "RETRY_TOPIC\x01" + property + "\x02"
		}
		b.call(t, remoting.SendMessageV2, map[string]string{
			"a": "it-producer", "b": topic, "c": "TBW102", "d": "1", "e": "0", "f": "0", "g": "1",
			"h": "0", "i": properties, "j": "0", "k": "false",
		}, []byte(key))
	}
	eventually(t, "all to be acknowledged", func() bool {
		return len(seen.of("plain")) > 1 && len(seen.of("own")) > 1 && len(seen.of("foreign")) > 0 &&
			b.committed(t, topic)
	})
	for key, want := range map[string]string{"plain": "", "own": "", "foreign": foreignRetryTopic} {
		for _, m := range seen.of(key) {
			if m.Defect != want {
				t.Errorf("%s, attempt %d: defect %q, want %q", key, m.Attempt, m.Defect, want)
			}
		}
	}
}

func acknowledging(j *journal) Handler {
	return func(_ context.Context, m payment.Message) payment.Disposition {
		j.add(m)
		return payment.Acknowledge
	}
}
