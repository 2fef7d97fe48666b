package idemtest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

	"example.com/payment/internal/idem"
)

// Work carries out one request inside a transaction and says what became of it; an error rolls
// back the whole transaction. The record of a Decided or Duplicate answer is stored under the
// request's key, which Store fills in together with the fingerprint and the time.
type Work[T, R any] func(tx *Tx[R], req idem.Request[T]) (idem.Answer[R], error)

// Echo is a Work that decides every request with its own payload as the answer.
func Echo[T any](_ *Tx[T], req idem.Request[T]) (idem.Answer[T], error) {
	return idem.Answer[T]{
		Verdict: idem.Decided,
		Record:  idem.Record[T]{Answer: req.Payload},
	}, nil
}

// Tx is what a Work sees of the transaction it runs in.
type Tx[R any] struct {
	committed, written map[idem.Key]idem.Record[R]
}

// Records yields what is committed and what this transaction has written.
func (tx *Tx[R]) Records() iter.Seq[idem.Record[R]] {
	return func(yield func(idem.Record[R]) bool) {
		for _, records := range []map[idem.Key]idem.Record[R]{tx.committed, tx.written} {
			for _, record := range records {
				if !yield(record) {
					return
				}
			}
		}
	}
}

// Store is an idem.Store in memory: its transactions come one after the other, its keys are
// unique, and a transaction that fails leaves nothing.
type Store[T, R any] struct {
	Faults
	work Work[T, R]

	mu      sync.Mutex
	records map[idem.Key]idem.Record[R]
	effects map[idem.Key]int
}

// NewStore returns an empty store that carries out requests with work.
func NewStore[T, R any](work Work[T, R]) *Store[T, R] {
	return &Store[T, R]{
		work:    work,
		records: make(map[idem.Key]idem.Record[R]),
		effects: make(map[idem.Key]int),
	}
}

// Find implements idem.Store.
func (s *Store[T, R]) Find(
	ctx context.Context, keys []idem.Key,
) (found map[idem.Key]idem.Record[R], err error) {
	err = s.run(ctx, Find, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		found = pick(s.records, keys)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Commit implements idem.Store.
func (s *Store[T, R]) Commit(
	ctx context.Context, reqs []idem.Request[T],
) (answers []idem.Answer[R], err error) {
	err = s.run(ctx, Commit, func() (err error) {
		answers, err = s.transact(reqs)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// Records returns a copy of what the store holds.
func (s *Store[T, R]) Records() map[idem.Key]idem.Record[R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.records)
}

// Plant stores a record as another program would have done.
func (s *Store[T, R]) Plant(record idem.Record[R]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[record.Key] = record
}

// Effects returns how often the work of a key has been committed.
func (s *Store[T, R]) Effects(key idem.Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.effects[key]
}

func (s *Store[T, R]) transact(reqs []idem.Request[T]) ([]idem.Answer[R], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := &Tx[R]{committed: s.records, written: make(map[idem.Key]idem.Record[R])}
	answers := make([]idem.Answer[R], len(reqs))
	var worked []idem.Key
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i, req := range reqs {
		answer, err := s.work(tx, req)
		if err != nil {
			return nil, err
		}
		if answer.Verdict == idem.Decided || answer.Verdict == idem.Duplicate {
			// The unique key decides, and only after the work, as in a real transaction.
			if tx.has(req.Key) {
				return nil, fmt.Errorf("idemtest: key %q: %w", req.Key, idem.ErrRaced)
			}
			answer.Record.Key, answer.Record.DecidedAt = req.Key, now
			answer.Record.Fingerprint, _ = req.Fingerprint(FingerprintVersion)
			tx.written[req.Key] = answer.Record
		}
		if answer.Verdict == idem.Decided {
			worked = append(worked, req.Key)
		}
		answers[i] = answer
	}
	maps.Copy(s.records, tx.written)
	for _, key := range worked {
		s.effects[key]++
	}
	return answers, nil
}

func (tx *Tx[R]) has(key idem.Key) bool {
	_, committed := tx.committed[key]
	_, written := tx.written[key]
	return committed || written
}
