package rocketmq

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// look is one look at a queue, with what was handed over before it.
type look struct {
	handed, committed, minimum, maximum int64
}

// looks is what is seen of a queue, and the jumps that are told of it.
type looks struct {
	looks []look
	jumps [][2]int64
}

func positions() map[string]looks {
	const none = NoOffset
	return map[string]looks{
		"Healthy":          {[]look{{0, 0, 0, 10}, {9, 5, 0, 10}, {10, 10, 5, 20}, {20, 20, 20, 20}}, nil},
		"NewGroup":         {[]look{{0, none, 0, 10}, {3, none, 0, 10}, {10, 10, 0, 10}}, nil},
		"NewGroupOldTopic": {[]look{{0, none, 500, 900}, {600, 600, 500, 900}}, nil},
		"NewGroupPinned":   {[]look{{0, none, 0, 10}, {0, none, 5, 10}}, [][2]int64{{0, 5}}},
		"GoneBeforeStart":  {[]look{{0, 100, 150, 200}, {160, 160, 150, 200}}, [][2]int64{{100, 150}}},
		"GoneWhileRunning": {[]look{{100, 100, 0, 200}, {100, 100, 150, 200}}, [][2]int64{{100, 150}}},
		// The client has corrected the offset before anybody looked again.
		"GoneAndCorrected": {[]look{{100, 100, 0, 200}, {100, 150, 150, 200}}, [][2]int64{{100, 150}}},
		// It takes the client ten seconds to correct its offset: told once.
		"ToldOnce":       {[]look{{0, 100, 150, 200}, {0, 100, 150, 200}, {0, 150, 150, 200}}, [][2]int64{{100, 150}}},
		"GoneAgain":      {[]look{{0, 100, 150, 200}, {0, 100, 180, 200}}, [][2]int64{{100, 150}, {150, 180}}},
		"InFlight":       {[]look{{160, 100, 0, 200}, {160, 100, 150, 200}}, nil},
		"InFlightInPart": {[]look{{120, 100, 0, 200}, {120, 100, 150, 200}}, [][2]int64{{120, 150}}},
		"Beyond":         {[]look{{0, 500, 0, 3}, {0, 500, 0, 3}, {3, 3, 0, 3}}, [][2]int64{{500, 3}}},
		"BeyondLater":    {[]look{{10, 10, 0, 10}, {10, 10, 0, 2}, {2, 2, 0, 4}}, [][2]int64{{10, 2}}},
		// Messages come before the client has corrected the offset: the end moves, and it is one jump.
		"BeyondAndMore": {
			[]look{{0, 500, 0, 3}, {0, 500, 0, 4}, {4, 500, 0, 9}, {9, 9, 0, 9}},
			[][2]int64{{500, 3}},
		},
		"BeyondAndGone": {
			[]look{{0, 500, 0, 3}, {4, 500, 0, 9}, {4, 4, 6, 9}}, [][2]int64{{500, 3}, {4, 6}},
		},
		"BeyondAgain": {
			[]look{{0, 500, 0, 3}, {3, 3, 0, 3}, {500, 500, 0, 500}, {500, 500, 0, 3}},
			[][2]int64{{500, 3}, {500, 3}},
		},
		// What was pulled before is acknowledged after, and says nothing of the queue as it is now.
		"BeyondAndAcknowledged": {
			[]look{{10, 10, 0, 10}, {10, 10, 0, 2}, {12, 12, 0, 3}, {0, 3, 5, 9}},
			[][2]int64{{10, 2}, {2, 5}},
		},
		// The same, and it was corrected before anybody looked again.
		"BeyondAndGiven": {
			[]look{{10, 10, 0, 10}, {10, 10, 0, 2}, {12, 2, 0, 3}, {0, 3, 5, 9}},
			[][2]int64{{10, 2}, {2, 5}},
		},
		// It was corrected to 30 before the second loss, and nobody looked in between.
		"BeyondTwice": {
			[]look{{0, 500, 0, 30}, {0, 30, 0, 3}}, [][2]int64{{500, 30}, {30, 3}},
		},
		"BeyondGrownAndTwice": {
			[]look{{20, 20, 0, 20}, {20, 20, 0, 2}, {25, 25, 0, 3}, {0, 22, 0, 4}},
			[][2]int64{{20, 2}, {22, 4}},
		},
		"BeyondCorrected": {
			[]look{{0, 500, 0, 3}, {4, 4, 0, 4}, {5, 5, 4, 6}, {5, 5, 6, 9}},
			[][2]int64{{500, 3}, {5, 6}},
		},
		"SetBack":        {[]look{{50, 50, 0, 60}, {0, 0, 0, 60}, {0, 0, 20, 60}}, [][2]int64{{0, 20}}},
		"EmptyQueue":     {[]look{{0, 0, 0, 0}, {0, 0, 0, 0}}, nil},
		"AllGoneButSeen": {[]look{{10, 10, 0, 10}, {10, 10, 10, 10}}, nil},
	}
}

// TestPosition: looks at one queue over time, and the jumps that are told.
func TestPosition(t *testing.T) {
	t.Parallel()
	for name, test := range positions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p position
			var jumps [][2]int64
			for _, l := range test.looks {
				p.handed = max(p.handed, l.handed)
				next, from, to := p.next(QueueOffsets{
					Committed: l.committed, Min: l.minimum, Max: l.maximum,
				})
				if from != to {
					jumps = append(jumps, [2]int64{from, to})
				}
				p = next
			}
			if diff := cmp.Diff(test.jumps, jumps); diff != "" {
				t.Errorf("jumps (-want +got):\n%s", diff)
			}
		})
	}
}

// TestConsumer_Jump: a group whose offset is beyond the end of a queue passes over what is there.
// The client goes on at the end with a warning in its log.
func TestConsumer_Jump(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 1)
	send(t, b.producer(t), topic, keys(3)...)
	setGroup(t, b, b.group(), 1, true)
	commit(t, b, topic, 500)
	var mu sync.Mutex
	var jumps []Jump
	config := b.consumerConfig(topic)
	config.WatchInterval = 50 * time.Millisecond
	config.Hooks.OnJump = func(j Jump) {
		mu.Lock()
		defer mu.Unlock()
		jumps = append(jumps, j)
	}
	seen := newJournal()
	c := consume(t, config, acknowledging(seen))
	if !c.Jumped() {
		t.Error("it was not seen before the client started")
	}
	eventually(t, "the client to correct the offset", func() bool {
		return b.offsets(t, topic)[0].Committed == 3
	})
	send(t, b.producer(t), topic, "after")
	eventually(t, "what comes after", func() bool { return len(seen.of("after")) == 1 })
	if !c.Jumped() {
		t.Error("it was forgotten")
	}
	stats := c.Stats()
	if stats.Backlog < 0 || len(stats.Queues) != 2 || stats.Queues[0].Topic != topic {
		t.Errorf("after a look: %+v, want the queue of the topic and that of redeliveries", stats)
	}
	eventually(t, "its own queue among the assigned", func() bool {
		return c.Stats().Assigned[topic] == 1
	})
	mu.Lock()
	defer mu.Unlock()
	name := b.route(t, topic).Brokers[0].Name
	want := []Jump{{Topic: topic, Broker: name, From: 500, To: 3}}
	if diff := cmp.Diff(want, jumps); diff != "" {
		t.Errorf("jumps (-want +got):\n%s", diff)
	}
}

// commit sets a group's offset in queue 0.
func commit(t *testing.T, b broker, topic string, offset int64) {
	t.Helper()
	b.call(t, codeUpdateCommitted, map[string]string{
		"consumerGroup": b.group(), "topic": topic, "queueId": "0",
		"commitOffset": strconv.FormatInt(offset, 10),
	}, nil)
}
