package rocketmq

import "testing"

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
	queues, err := b.admin.Offsets(patient(t), b.group(), topic)
	if err != nil || len(queues) != 1 {
		t.Fatalf("Offsets = %v, %v", queues, err)
	}
	queues[0].Committed = 2
	if err := b.admin.Seek(patient(t), b.group(), queues); err != nil {
		t.Fatal(err)
	}
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
	queues, err := b.admin.Offsets(patient(t), b.group(), topic)
	if err != nil || len(queues) != 1 {
		t.Fatalf("Offsets = %v, %v", queues, err)
	}
	queues[0].Committed = 3
	if err := b.admin.Seek(patient(t), b.group(), queues); err != nil {
		t.Fatal(err)
	}
	after, err := b.admin.Offsets(patient(t), b.group(), topic)
	if err != nil || after[0].Committed != 3 {
		t.Fatalf("Offsets = %v, %v; want 3 committed", after, err)
	}
	seen := newJournal()
	consume(t, b.consumerConfig(topic), acknowledging(seen))
	eventually(t, "the last two", func() bool { return seen.distinct() == 2 })
	if n := len(seen.of("key-0002")); n != 0 {
		t.Errorf("what is before the offset came %d times", n)
	}
}
