package idem

import (
	"context"
	"errors"
	"time"
)

// Key is the idempotency token: it names one request, is minted once by the sender before its
// first send, and is repeated unchanged with every resend. Two keys are equal only byte for byte.
type Key string

// Fingerprint is a digest of what a request asks for. The version says how it was computed, so
// that a stored fingerprint is compared under its own version after the rules have changed.
type Fingerprint struct {
	Version int
	Sum     [32]byte
}

// Request is one delivery of a request. T is what the Store needs to carry it out.
type Request[T any] struct {
	Key Key
	// Fingerprint computes the digest of this request under the given version of the rules; ok
	// is false for a version that this program does not know.
	Fingerprint func(version int) (sum Fingerprint, ok bool)
	Payload     T
}

// Record is what is kept of a decided key. R is the answer that was given, and that every
// duplicate is given again.
type Record[R any] struct {
	Key         Key
	Fingerprint Fingerprint
	Answer      R
	DecidedAt   time.Time
}

// Verdict says what became of one delivery. Its zero value is invalid, so that a verdict that
// was never reached cannot be taken for one that was.
type Verdict uint8

const (
	// Decided: the request was carried out, or refused for good, now and for the first time.
	Decided Verdict = iota + 1
	// Duplicate: the request had been decided before; the record holds the first answer.
	Duplicate
	// Conflict: the key, or the thing it stands for, was decided before with other content.
	Conflict
	// Retry: nothing is known to be decided; the same request must come again.
	Retry
)

// Source says who knew that a request was decided.
type Source uint8

const (
	// ByCommit: this delivery's own transaction decided.
	ByCommit Source = iota + 1
	// ByBatch: another delivery of the same key in the same batch.
	ByBatch
	// ByCache: step 1.
	ByCache
	// ByStore: step 2.
	ByStore
	// ByUnique: step 3; the key was not there in step 2 and was when the transaction wrote it.
	ByUnique
)

// Steps are the times that a delivery spent in each step, zero for a step it did not reach. All
// deliveries of a batch share the batch's times, except Wait, which is their own.
type Steps struct {
	Wait, Cache, Find, Commit, Put time.Duration
}

// Decision is the answer to one delivery. With Retry, Err says why and Record is empty; with
// Conflict, Record is what was decided before, as far as it is known.
type Decision[R any] struct {
	Verdict Verdict
	Record  Record[R]
	By      Source
	Steps   Steps
	Err     error
}

// Answer is what a Store says of one request that it was given to commit.
type Answer[R any] struct {
	// Verdict is Decided, Duplicate, Conflict or Retry. A Duplicate here is a request whose key
	// is new but which repeats something that another key has decided.
	Verdict Verdict
	// Record is what is stored under the request's key after the call. For a Conflict it is
	// what the request conflicts with, which may stand under another key. With Retry it is empty.
	Record Record[R]
	Err    error
}

// Cache is step 1. It may forget, be stale, be slow or fail at any time; it only saves work.
// Implementations are safe for concurrent use and keep a time limit of their own.
type Cache[R any] interface {
	// Get returns the records that it holds and can vouch for. What is missing, expired,
	// damaged or not verifiable is left out. An error may come with a partial answer.
	Get(ctx context.Context, keys []Key) (map[Key]Record[R], error)
	// Put stores records that are already durable in the Store. Its failure loses nothing.
	Put(ctx context.Context, records []Record[R]) error
}

// Store is the truth: steps 2 and 3. Implementations are safe for concurrent use and keep time
// limits of their own.
type Store[T, R any] interface {
	// Find returns the committed records of these keys. They are durable, and not only visible:
	// answers are given, and cached, from what it returns. A key that is missing may be decided by
	// somebody else a moment later: only Commit can tell.
	Find(ctx context.Context, keys []Key) (map[Key]Record[R], error)
	// Commit carries out the requests and stores their records under unique keys, both in one
	// transaction, and returns one answer per request, in order. The keys of the requests are
	// distinct. An error means that no request of the call is known to be committed; after
	// ErrUnavailable it may be committed all the same, which the next Commit finds out.
	Commit(ctx context.Context, reqs []Request[T]) ([]Answer[R], error)
}

// Errors that a Store wraps so that Guard and Hold know what to do next. Any other error is
// a failure of this attempt only.
var (
	// ErrRaced: at least one of the keys was stored by somebody else; back to step 2.
	ErrRaced = errors.New("a key was decided by somebody else")
	// ErrContent: the store cannot hold what at least one request asks for; the batch is
	// divided until the request stands alone.
	ErrContent = errors.New("a request cannot be stored")
	// ErrUnavailable: the dependency cannot be reached or refuses all work; wait for it.
	ErrUnavailable = errors.New("unavailable")
)
