package rocketmq

import (
	"context"
	"testing"
	"time"
)

// TestAdmin_Seek: the next consumer of the group is delivered again what comes after the offsets.
func TestAdmin_Seek(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	send(t, b.producer(t), topic, keys(5)...)
	first := newJournal()
	c := consume(t, b.consumerConfig(topic), acknowledging(first))
	eventually(t, "all messages", func() bool { return first.distinct() == 5 })
	if err := c.Drain(patient(t)); err != nil {
		t.Fatal(err)
	}
	queues := b.offsets(t, topic)
	if len(queues) != 1 {
		t.Fatalf("Offsets = %v", queues)
	}
	queues[0].Committed = 2
	// The consumer's last offsets wait for no answer: the broker may read them after this.
	eventually(t, "the offset to stay", func() bool {
		b.seek(t, queues)
		sleep(patient(t), time.Second)
		return b.offsets(t, topic)[0].Committed == 2
	})
	second := newJournal()
	consume(t, b.consumerConfig(topic), acknowledging(second))
	eventually(t, "the last three again", func() bool { return second.distinct() == 3 })
	if n := len(second.of("key-0001")); n != 0 {
		t.Errorf("what is before the offset came %d times", n)
	}
}

// TestAdmin_SeekNewGroup: a group that nobody has used begins where it is told to, and consumes.
func TestAdmin_SeekNewGroup(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	send(t, b.producer(t), topic, keys(5)...)
	queues := b.offsets(t, topic)
	if len(queues) != 1 {
		t.Fatalf("Offsets = %v", queues)
	}
	queues[0].Committed = 3
	b.seek(t, queues)
	if after := b.offsets(t, topic); after[0].Committed != 3 {
		t.Fatalf("Offsets = %v; want 3 committed", after)
	}
	seen := newJournal()
	consume(t, b.consumerConfig(topic), acknowledging(seen))
	eventually(t, "the last two", func() bool { return seen.distinct() == 2 })
	if n := len(seen.of("key-0002")); n != 0 {
		t.Errorf("what is before the offset came %d times", n)
	}
}

func (b broker) seek(t *testing.T, queues []QueueOffsets) {
	t.Helper()
	insist(t, func(ctx context.Context) error { return b.admin.Seek(ctx, b.group(), queues) })
}
