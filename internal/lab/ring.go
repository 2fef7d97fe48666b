package lab

import "time"

// ring keeps the last values that were added. Each has a sequence number, from 1 on.
type ring[T any] struct {
	size int
	kept []T
	next uint64 // how many were ever added, which is the sequence number of the last one
}

func newRing[T any](size int, next uint64) ring[T] { return ring[T]{size: size, next: next} }

// add keeps the value that is made for the next sequence number, and returns it.
func (r *ring[T]) add(value func(seq uint64) T) T {
	r.next++
	v := value(r.next)
	// The slice grows to twice the size and is then halved, which costs less than to move all
	// values for each one.
	if len(r.kept) >= 2*r.size {
		r.kept = append(r.kept[:0], r.kept[len(r.kept)-r.size+1:]...)
	}
	r.kept = append(r.kept, v)
	return v
}

// at returns the value with a sequence number, if it is one of the last.
func (r *ring[T]) at(seq uint64) (v T, ok bool) {
	if seq > r.next || r.next-seq >= uint64(min(len(r.kept), r.size)) {
		return v, false
	}
	return r.kept[uint64(len(r.kept))-1-(r.next-seq)], true
}

// after returns a copy of what came after a sequence number and is kept.
func (r *ring[T]) after(seq uint64) []T {
	if seq >= r.next {
		return nil
	}
	n := min(int(r.next-seq), len(r.kept), r.size)
	return append([]T(nil), r.kept[len(r.kept)-n:]...)
}

// sentMessages knows when messages were sent, and which of them have no answer yet.
type sentMessages struct {
	of      map[string]*sentMessage
	order   []string // the oldest first
	waiting int
}

type sentMessage struct {
	at       time.Time
	queue    int
	expected bool
	answers  int
}

func newSentMessages() sentMessages { return sentMessages{of: map[string]*sentMessage{}} }

// add notes that a message is sent, the first time: later, it is the same message again.
func (s *sentMessages) add(id string, now time.Time) {
	if s.of[id] != nil {
		return
	}
	if len(s.order) == keptSent {
		if old := s.of[s.order[0]]; old.expected && old.answers == 0 {
			s.waiting--
		}
		delete(s.of, s.order[0])
		s.order = s.order[1:]
	}
	s.of[id] = &sentMessage{at: now, queue: -1}
	s.order = append(s.order, id)
}

// stored says where a message is stored, and whether an answer to it will come, unless it is here.
func (s *sentMessages) stored(id string, queue int, answered bool) {
	m := s.of[id]
	if m == nil {
		return
	}
	m.queue = queue
	if answered && !m.expected {
		m.expected = true
		if m.answers == 0 {
			s.waiting++
		}
	}
}

// answered counts an answer. It returns how long the first one took, and whether this is a further
// one. What comes again is no measure of how long an answer takes.
func (s *sentMessages) answered(
	id string, now time.Time,
) (took time.Duration, queue int, again bool) {
	m := s.of[id]
	if m == nil {
		return 0, -1, false
	}
	m.answers++
	if m.answers > 1 {
		return 0, m.queue, true
	}
	if m.expected {
		s.waiting--
	}
	return now.Sub(m.at), m.queue, false
}
