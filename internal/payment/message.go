package payment

import (
	"time"
)

// Message is one delivery of an order message, as the broker handed it over.
type Message struct {
	Topic string
	Key   string
	// ID is the unique ID that the producer's client gave the message. It is the same in every
	// delivery of the message and after a resend by the client, and another one when the
	// application sends the same request again: so it is good for counting, never as a token.
	ID   string
	Body []byte
	// Queue and Offset say where in the topic the message was read.
	Broker string
	Queue  int
	Offset int64
	// Attempt is 1 for the first delivery and grows with each redelivery by the retry ladder.
	Attempt int
	// BornAt is when the producer made the message, by the producer's clock.
	BornAt time.Time
	// Trace is the W3C trace context that came with the message, or anything else that its sender
	// has put there; at most 55 bytes.
	Trace string
	// Defect, unless empty, says in a word why the message could not come again if it were given
	// back, whatever it holds. So it must not be given back: it is rejected.
	Defect string
}

// Disposition says what the broker is told about a delivery. Its zero value is invalid and must
// be treated as Redeliver.
type Disposition uint8

const (
	// Acknowledge: the message has its outcome and need not come again.
	Acknowledge Disposition = iota + 1
	// Redeliver: the message has no outcome and must come again.
	Redeliver
)
