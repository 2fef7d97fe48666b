package rocketmq

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

// watchTimeout bounds one look at all offsets.
const watchTimeout = 30 * time.Second

// Jump is a place where a group passes over messages that it never read. There are two kinds.
// With To above From, the broker has deleted the messages from From up to To, by age or for want
// of disk. With To below From, the group's offset is beyond the end of the queue, as after a lost
// disk or a topic made anew, and the client goes on at the end: what was written below was not
// read.
//
// All members of a group watch all queues, so that each jump is seen by each of them, also when
// the queue has no owner at that moment.
type Jump struct {
	Topic, Broker string
	Queue         int
	From, To      int64
}

// watcher compares the group's offsets with what the brokers have. The client follows the
// broker's correction of an offset with a warning in its log, and the corrected offset shows
// nothing; so the watcher remembers.
//
// It can tell of too much: messages that a client has pulled, this one's or another member's, and
// that are deleted before they are handled, may yet be handled.
type watcher struct {
	admin  *Admin
	config ConsumerConfig
	log    *zap.Logger

	// assigned counts the queues that the client reads, by topic; nil before there is a client.
	assigned func() map[string]int

	jumped atomic.Bool
	last   atomic.Pointer[sight]

	mu     sync.Mutex
	queues map[primitive.MessageQueue]position
	blind  bool

	cancel context.CancelFunc
	done   chan struct{}
}

// position is what is remembered of a queue.
type position struct {
	// known is the group's position at the last look.
	known int64
	// handed is one past the highest offset that this process was given.
	handed int64
	// told is the group's offset at the last look if it was beyond the end of the queue, of which a
	// jump was told then, and else 0.
	told   int64
	looked bool
}

// sight is what one look has seen; nobody changes it afterwards.
type sight struct {
	backlog  int64
	queues   []QueueOffsets
	assigned map[string]int
}

// sight returns what the last look has seen. Before the first, the backlog is -1.
func (w *watcher) sight() sight {
	if s := w.last.Load(); s != nil {
		return *s
	}
	return sight{backlog: -1}
}

func newWatcher(admin *Admin, config ConsumerConfig, log *zap.Logger) *watcher {
	return &watcher{
		admin: admin, config: config, log: log,
		queues: make(map[primitive.MessageQueue]position),
	}
}

// seen notes a delivery.
func (w *watcher) seen(queue primitive.MessageQueue, offset int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.queues[queue]
	p.handed = max(p.handed, offset+1)
	w.queues[queue] = p
}

// start looks again and again until stop.
func (w *watcher) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			// At random times, so that many consumers do not all ask at once.
			idem.Backoff{Min: w.config.WatchInterval, Max: w.config.WatchInterval}.Wait(ctx, 1)
			if err := w.look(ctx); err != nil && ctx.Err() == nil {
				w.report(err)
			}
		}
	}()
}

// stop ends what start began.
func (w *watcher) stop() {
	w.cancel()
	<-w.done
}

// report logs that the watcher sees nothing, once.
func (w *watcher) report(err error) {
	w.mu.Lock()
	first := !w.blind
	w.blind = true
	w.mu.Unlock()
	if first {
		w.log.Warn("offsets cannot be read; jumps go unseen until they can", zap.Error(err))
	}
}

// look reads all offsets once and judges them. What could be read is judged also when the
// rest could not.
func (w *watcher) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	var now sight
	var failures []error
	for _, topic := range []string{w.config.Topic, RetryTopic(w.config.Group)} {
		offsets, err := w.admin.Offsets(ctx, w.config.Group, topic)
		if err != nil {
			failures = append(failures, err)
		}
		for _, q := range offsets {
			now.backlog += q.Backlog()
			now.queues = append(now.queues, q)
			w.judge(q)
		}
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	if w.assigned != nil {
		now.assigned = w.assigned()
	}
	w.last.Store(&now)
	w.mu.Lock()
	w.blind = false
	w.mu.Unlock()
	return nil
}

// judge updates one queue's position and tells of a jump.
func (w *watcher) judge(q QueueOffsets) {
	key := primitive.MessageQueue{Topic: q.Topic, BrokerName: q.Broker, QueueId: q.Queue}
	w.mu.Lock()
	next, from, to := w.queues[key].next(q)
	w.queues[key] = next
	w.mu.Unlock()
	if from == to {
		return
	}
	w.jumped.Store(true)
	if w.config.Hooks.OnJump != nil {
		w.config.Hooks.OnJump(Jump{
			Topic: q.Topic, Broker: q.Broker, Queue: q.Queue, From: from, To: to,
		})
	}
}

// next is the position after a look, and the jump, if from and to differ.
func (p position) next(q QueueOffsets) (after position, from, to int64) {
	if p.told > 0 && p.handed > q.Max {
		p.handed = 0 // it was given of the queue that is lost
	}
	after = p
	after.looked, after.told = true, 0
	here := max(p.known, p.handed)
	switch {
	case !p.looked && q.Committed == NoOffset:
		// A new group. What was deleted before it was made was never its own.
		after.known = q.Min
		return after, 0, 0
	case q.Committed > q.Max && p.told > 0 && q.Committed >= p.told:
		// The client takes ten seconds to correct the offset. Meanwhile messages come, so that the
		// end moves, and it may acknowledge what it had pulled before, so that the offset grows. An
		// offset that falls was corrected, and is beyond another end.
		after.told = q.Committed
		return after, 0, 0
	case q.Committed > q.Max:
		after.known, after.handed, after.told = q.Max, 0, q.Committed
		return after, q.Committed, q.Max
	case !p.looked:
		here = max(q.Committed, p.handed)
	}
	if q.Min > here {
		after.known = q.Min
		return after, here, q.Min
	}
	if q.Committed >= q.Min && q.Committed < p.known {
		after.handed = 0 // somebody has set the group back
	}
	if q.Committed >= q.Min {
		after.known = q.Committed
	}
	return after, 0, 0
}
