package faults

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"

	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// Status is what a producer knows of a send.
type Status string

// The statuses. Only what was acknowledged must not be lost; what is unknown may be stored or not.
const (
	Acknowledged Status = "acknowledged"
	Failed       Status = "failed"
	Unknown      Status = "unknown"
)

// Message is one message that was sent, and what its sender was told.
type Message struct {
	Key  string
	Body []byte
	// Order is what the message asks for if it is a valid order, else nil.
	Order  *order.Order
	ID     string
	Queue  int
	Offset int64
	Status Status
}

// Valid says whether the message is an order that can be decided.
func (m Message) Valid() bool { return m.Order != nil }

// content names what a message says, as the quarantine tells messages apart: by key and body.
type content struct {
	key  string
	body [sha256.Size]byte
}

func (m Message) content() content { return content{key: m.Key, body: sha256.Sum256(m.Body)} }

// Record keeps every send of a run: it is what the database is held against. Its methods are safe
// for concurrent use.
type Record struct {
	mu       sync.Mutex
	messages []Message
}

// add writes down a send. The statuses are the three that a sender can know.
func (r *Record) add(m Message, receipt rocketmq.Receipt, err error) Message {
	m.ID, m.Queue, m.Offset = receipt.MessageID, receipt.Queue, receipt.Offset
	switch {
	case err == nil:
		m.Status = Acknowledged
	case errors.Is(err, rocketmq.ErrUnknown):
		m.Status = Unknown
	default:
		m.Status = Failed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	return m
}

// All returns what was sent so far, in the order of the answers.
func (r *Record) All() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clip(r.messages)
}

// Count returns how many sends have ended in each way.
func (r *Record) Count() map[Status]int {
	counts := map[Status]int{}
	for _, m := range r.All() {
		counts[m.Status]++
	}
	return counts
}
