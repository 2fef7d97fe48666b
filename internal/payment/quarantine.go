package payment

import (
	"time"

	"example.com/payment/internal/order"
)

// Kind says why a message is in quarantine. Its zero value is invalid.
type Kind string

const (
	// KindConflict: valid, but its serial or its order was decided with other content.
	KindConflict Kind = "conflict"
	// KindRejected: not readable or not valid.
	KindRejected Kind = "rejected"
	// KindUndecided: a dead letter that could not be decided although the database works.
	KindUndecided Kind = "undecided"
)

// ReasonUndecided is the quarantine reason of a dead letter that could not be decided.
const ReasonUndecided = "undecided"

// Quarantined is a message on its way into quarantine, with where it came from.
type Quarantined struct {
	Kind    Kind
	Reason  string
	Detail  string
	Serial  order.Serial // empty when it could not be read
	Message Message
	At      time.Time
}

func quarantined(
	m Message, kind Kind, reason, detail string, serial order.Serial, at time.Time,
) Quarantined {
	return Quarantined{
		Kind: kind, Reason: reason, Detail: detail, Serial: serial, Message: m, At: at,
	}
}
