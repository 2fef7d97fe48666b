package order

import "strconv"

// Outcome says what became of one delivery of an order message. Its zero value is invalid.
type Outcome uint8

const (
	// Paid: money moved, now, for the first time. The message is answered and acknowledged.
	Paid Outcome = iota + 1
	// Declined: a business refusal, decided once. The message is answered and acknowledged.
	Declined
	// Duplicate: decided before; answered with the first answer and acknowledged.
	Duplicate
	// Conflict: decided before with other content; quarantined, answered and acknowledged.
	Conflict
	// Rejected: not readable or not valid; quarantined and acknowledged.
	Rejected
	// Retry: infrastructure failed and nothing is known to be decided; redelivered.
	Retry
)

// Reason says in one stable word why an outcome is not Paid.
type Reason string

// Reasons of Declined.
const (
	InsufficientFunds Reason = "insufficient_funds"
	BalanceLimit      Reason = "balance_limit"
	UnknownAccount    Reason = "unknown_account"
	ClosedAccount     Reason = "closed_account"
	CurrencyMismatch  Reason = "currency_mismatch"
	SameAccount       Reason = "same_account"
)

// Reasons of Conflict and of Duplicate under a second serial.
const (
	SerialReused     Reason = "serial_reused"
	OrderAlreadyPaid Reason = "order_already_paid"
)

// word returns the outcome's word, which is what it is written as everywhere; none if invalid.
func (o Outcome) word() string {
	switch o {
	case Paid:
		return "paid"
	case Declined:
		return "declined"
	case Duplicate:
		return "duplicate"
	case Conflict:
		return "conflict"
	case Rejected:
		return "rejected"
	case Retry:
		return "retry"
	}
	return ""
}

// String returns the outcome in lower case, such as paid.
func (o Outcome) String() string {
	if word := o.word(); word != "" {
		return word
	}
	return "outcome(" + strconv.Itoa(int(o)) + ")"
}

// MarshalText returns the outcome in lower case. An invalid outcome is an error: an answer that
// was never reached is not written down as one.
func (o Outcome) MarshalText() ([]byte, error) {
	if word := o.word(); word != "" {
		return []byte(word), nil
	}
	return nil, invalid(CodeOutcome, fieldOutcome, o.String()+" is not an outcome")
}

// UnmarshalText reads what MarshalText writes, exactly.
func (o *Outcome) UnmarshalText(b []byte) error {
	for known := Paid; known <= Retry; known++ {
		if string(b) == known.word() {
			*o = known
			return nil
		}
	}
	return invalid(CodeOutcome, fieldOutcome, "must be an outcome in lower case, such as paid")
}

// answers says whether the outcome answers a request. The others leave it open: a rejected
// message names no request that could be trusted, and one to be retried has no answer yet.
func (o Outcome) answers() bool {
	return o == Paid || o == Declined || o == Duplicate || o == Conflict
}
