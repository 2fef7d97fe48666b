package lab

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/payment/internal/order"
)

// Bounds of what a State remembers, and of what one frame holds.
const (
	keptDeliveries = 20_000
	keptSent       = 50_000
	keptMoves      = 256
	keptSeconds    = 180
	keptTasks      = 12
	keptTimes      = 255 // of each step, for its median
	keptNames      = 64  // of consumers, the dead ones too

	frameMoves      = 12
	frameDeliveries = 40
)

// part is a part of the state that changes as a whole.
type part int

const (
	partCounts part = iota
	partConsumers
	partServers
	partMachine
	partMoney
	partAudit
	partTasks
	partQuarantine
	parts
)

// State is what was observed. Its methods are safe for concurrent use and do not wait for
// anything.
type State struct {
	now func() time.Time

	mu sync.Mutex
	// clock counts changes; changed has for each part the change that it was last in.
	clock   uint64
	changed [parts]uint64
	// began is the change with which the ledger began.
	began uint64
	order string

	moves      ring[Move]
	deliveries ring[Delivery]
	seconds    ring[Second]
	places     map[place]bool
	placed     []place // in the order of places, to forget the oldest
	serials    map[string][]uint64
	sent       sentMessages
	second     secondSoFar
	times      [5]ring[int64]
	names      map[int]string // of consumers, by process number

	counts     Counts
	consumers  []Consumer
	servers    []Program
	machine    Machine
	money      Money
	audit      *Audit
	tasks      []Task
	quarantine int64
}

// place is where a result was read: the broker may hand one over twice.
type place struct {
	queue  int
	offset int64
}

// NewState returns a state in which nothing has happened. The clock is time.Now, but for tests.
func NewState(now func() time.Time) *State {
	s := &State{now: now, names: map[int]string{}}
	s.reset("right")
	return s
}

// reset forgets everything that is about the ledger.
func (s *State) reset(order string) {
	s.clock++
	s.began, s.order = s.clock, order
	// Sequence numbers go on: a page must not take new moves for those that it has seen.
	s.moves = newRing[Move](keptMoves, s.moves.next)
	s.deliveries = newRing[Delivery](keptDeliveries, s.deliveries.next)
	s.places, s.placed = map[place]bool{}, nil
	s.serials = map[string][]uint64{}
	s.sent = newSentMessages()
	s.seconds = newRing[Second](keptSeconds, s.seconds.next)
	s.second = secondSoFar{}
	for i := range s.times {
		s.times[i] = newRing[int64](keptTimes, 0)
	}
	s.counts = Counts{Outcomes: map[string]int64{}, By: map[string]int64{}}
	s.audit, s.quarantine, s.money = nil, 0, Money{}
	for p := range s.changed {
		s.changed[p] = s.clock
	}
}

// NewLedger says that the ledger is empty, and which order of writes is used from now on.
func (s *State) NewLedger(order string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset(order)
}

// touch is for callers that hold the lock and have changed a part.
func (s *State) touch(p part) {
	s.clock++
	s.changed[p] = s.clock
}

// Sending says that a message is about to be sent, to know later how long its answer took.
func (s *State) Sending(messageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.add(messageID, s.now())
}

// Sent says that the broker has stored a message; answered, that an answer will come of it. The
// queue is -1 when it is not known.
func (s *State) Sent(messageID, serial string, queue int, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Sent++
	s.sent.stored(messageID, queue, answered)
	s.moves.add(func(seq uint64) Move {
		return Move{Seq: seq, Kind: MoveSent, Queue: queue, Serial: serial}
	})
	s.touch(partCounts)
}

// Rejected says that a message went to the quarantine unread.
func (s *State) Rejected(serial string, queue int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rejected := order.Rejected.String()
	s.counts.Outcomes[rejected]++
	s.moves.add(func(seq uint64) Move {
		return Move{Seq: seq, Kind: MoveRejected, Queue: queue, Serial: serial, Outcome: rejected}
	})
	s.touch(partCounts)
}

// Answered takes a result that was read from the result topic.
func (s *State) Answered(r order.Result, queue int, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.place(place{queue, offset}) {
		return
	}
	now := s.now()
	took, at, again := s.sent.answered(r.MessageID, now)
	d := delivery(r, now)
	d.Consumer = s.nameOf(r.Instance)
	d.LatencyUS = took.Microseconds()
	s.forget()
	d = s.deliveries.add(func(seq uint64) Delivery { d.Seq = seq; return d })
	s.serials[d.Serial] = append(s.serials[d.Serial], d.Seq)
	s.count(d, again)
	s.second.add(r.Outcome == order.Paid, took)
	s.moves.add(func(seq uint64) Move {
		return Move{
			Seq: seq, Kind: MoveDecided, Queue: at, Consumer: d.Consumer,
			Serial: d.Serial, Outcome: d.Outcome, By: d.By,
		}
	})
	s.touch(partCounts)
}

// place says whether a place is new.
func (s *State) place(at place) bool {
	if s.places[at] {
		return false
	}
	if len(s.placed) == keptDeliveries {
		delete(s.places, s.placed[0])
		s.placed = s.placed[1:]
	}
	s.places[at] = true
	s.placed = append(s.placed, at)
	return true
}

// forget takes the delivery out of the index that the next one displaces.
func (s *State) forget() {
	if s.deliveries.next < keptDeliveries {
		return
	}
	old, ok := s.deliveries.at(s.deliveries.next + 1 - keptDeliveries)
	if !ok {
		return
	}
	if left := s.serials[old.Serial][1:]; len(left) > 0 {
		s.serials[old.Serial] = left
	} else {
		delete(s.serials, old.Serial)
	}
}

func (s *State) count(d Delivery, again bool) {
	c := &s.counts
	c.Deliveries++
	if again {
		c.Again++
	}
	c.Outcomes[d.Outcome]++
	c.By[d.By]++
	for i, took := range []int64{
		d.Steps.Wait, d.Steps.Cache, d.Steps.Find, d.Steps.Commit, d.Steps.Put,
	} {
		if took > 0 {
			s.times[i].add(func(uint64) int64 { return took })
		}
	}
}

// delivery is a result as it is shown.
func delivery(r order.Result, at time.Time) Delivery {
	d := Delivery{
		At: at.UnixMilli(), Serial: string(r.Serial), Order: string(r.OrderID), Message: r.MessageID,
		Outcome: r.Outcome.String(), Reason: string(r.Reason), Duplicate: r.Duplicate,
		By: r.DecidedBy, Attempt: r.Attempt, Steps: Steps{
			Wait: r.Steps.Wait.Microseconds(), Cache: r.Steps.Cache.Microseconds(),
			Find: r.Steps.Find.Microseconds(), Commit: r.Steps.Commit.Microseconds(),
			Put: r.Steps.Put.Microseconds(),
		},
	}
	if r.First != nil {
		d.First, d.FirstAt = r.First.Outcome.String(), r.First.DecidedAt.UnixMilli()
	}
	return d
}

// Named says what the consumer with this process number is called on the page.
func (s *State) Named(pid int, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.names) >= keptNames {
		clear(s.names)
	}
	s.names[pid] = name
}

// nameOf finds the process number in the name of an instance, HOST-PID-RANDOM.
func (s *State) nameOf(instance string) string {
	words := strings.Split(instance, "-")
	if len(words) >= 3 {
		if pid, err := strconv.Atoi(words[len(words)-2]); err == nil {
			return s.names[pid]
		}
	}
	return ""
}

// Of returns the deliveries of a serial that are remembered, the oldest first.
func (s *State) Of(serial string) []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []Delivery{}
	for _, seq := range s.serials[serial] {
		if d, ok := s.deliveries.at(seq); ok {
			found = append(found, d)
		}
	}
	return found
}

// Answers returns the deliveries of a message that are remembered, the oldest first.
func (s *State) Answers(serial, messageID string) []Delivery {
	return slices.DeleteFunc(s.Of(serial), func(d Delivery) bool {
		return d.Message != messageID
	})
}
