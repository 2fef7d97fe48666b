package idem_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"sync"
	"time"

	"example.com/payment/internal/idem"
)

// Booking asks for a seat.
type Booking struct {
	Passenger, Seat string
}

// Fingerprint covers the business fields, each with its length, so that no two bookings run
// together to the same bytes. Under which version is part of it.
func (b Booking) Fingerprint(version int) (idem.Fingerprint, bool) {
	if version != 1 {
		return idem.Fingerprint{}, false
	}
	text := fmt.Sprintf("booking/1 %d:%s %d:%s", len(b.Passenger), b.Passenger, len(b.Seat), b.Seat)
	return idem.Fingerprint{Version: 1, Sum: sha256.Sum256([]byte(text))}, true
}

// Seats is an idem.Store. Its mutex stands for a transaction, and its map of records for a table
// with a unique key.
type Seats struct {
	mu      sync.Mutex
	free    []string
	records map[idem.Key]idem.Record[string]
}

// Find is step 2.
func (s *Seats) Find(
	_ context.Context, keys []idem.Key,
) (map[idem.Key]idem.Record[string], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[idem.Key]idem.Record[string])
	for _, key := range keys {
		if record, ok := s.records[key]; ok {
			found[key] = record
		}
	}
	return found, nil
}

// Commit is step 3: all seats and all keys of the call, or none.
func (s *Seats) Commit(
	_ context.Context, reqs []idem.Request[Booking],
) ([]idem.Answer[string], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, req := range reqs {
		if _, taken := s.records[req.Key]; taken {
			return nil, fmt.Errorf("booking %s: %w", req.Key, idem.ErrRaced)
		}
	}
	answers := make([]idem.Answer[string], len(reqs))
	for i, req := range reqs {
		answer := "sold out" // a refusal for good is a decision as well
		if len(s.free) > 0 {
			answer, s.free = req.Payload.Passenger+" has "+s.free[0], s.free[1:]
		}
		sum, _ := req.Fingerprint(1)
		s.records[req.Key] = idem.Record[string]{
			Key: req.Key, Fingerprint: sum, Answer: answer, DecidedAt: time.Now(),
		}
		answers[i] = idem.Answer[string]{Verdict: idem.Decided, Record: s.records[req.Key]}
	}
	return answers, nil
}

// Memory is an idem.Cache.
type Memory struct {
	mu      sync.Mutex
	records map[idem.Key]idem.Record[string]
}

// Get is step 1.
func (m *Memory) Get(
	context.Context, []idem.Key,
) (map[idem.Key]idem.Record[string], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.records), nil
}

// Put follows the commit.
func (m *Memory) Put(_ context.Context, records []idem.Record[string]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, record := range records {
		m.records[record.Key] = record
	}
	return nil
}

// A desk sells the last seat. Whatever is delivered again, and whatever pretends to be, it is
// sold once, and everybody gets the first answer.
func Example() {
	seats := &Seats{free: []string{"12A"}, records: map[idem.Key]idem.Record[string]{}}
	memory := &Memory{records: map[idem.Key]idem.Record[string]{}}
	guard := idem.New(seats, memory, idem.Options{})
	defer guard.Close()

	deliver := func(key idem.Key, passenger string) {
		booking := Booking{Passenger: passenger, Seat: "window"}
		d := guard.Process(context.Background(), idem.Request[Booking]{
			Key: key, Fingerprint: booking.Fingerprint, Payload: booking,
		})
		switch d.Verdict {
		case idem.Decided:
			fmt.Println("decided:", d.Record.Answer)
		case idem.Duplicate:
			fmt.Println("duplicate:", d.Record.Answer)
		case idem.Conflict:
			fmt.Println("conflict: this key was used before:", d.Record.Answer)
		case idem.Retry:
			fmt.Println("not acknowledged, comes again:", d.Err)
		}
	}
	deliver("booking-1", "Ada")   // the first delivery
	deliver("booking-1", "Ada")   // its acknowledgement was lost
	clear(memory.records)         // the cache expires
	deliver("booking-1", "Ada")   // the store still knows
	deliver("booking-1", "Grace") // a sender that reuses a key
	deliver("booking-2", "Grace") // an honest request, refused for good
	deliver("booking-2", "Grace")

	// Output:
	// decided: Ada has 12A
	// duplicate: Ada has 12A
	// duplicate: Ada has 12A
	// conflict: this key was used before: Ada has 12A
	// decided: sold out
	// duplicate: sold out
}
