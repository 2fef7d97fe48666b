package order

import (
	"encoding/json"
	"errors"
	"time"
)

// ResultVersion is the version of the result message.
const ResultVersion = 1

// maxResult is the length limit, in bytes, of a result message that is read.
const maxResult = 64 << 10

const (
	fieldOutcome   = "outcome"
	fieldDecidedAt = "decided_at"
)

// Result is the answer to one delivery of an order message, as its sender gets it.
type Result struct {
	OrderID ID
	Serial  Serial
	// Outcome is Paid, Declined, Duplicate or Conflict.
	Outcome Outcome
	Reason  Reason
	// Duplicate is the duplicate marker: this request was decided before, and First says how.
	Duplicate bool
	// First is the first answer. A conflict has one too where it is known.
	First *First
	// DecidedAt is when this answer was reached; for a duplicate, First has the other time.
	DecidedAt time.Time
	// DecidedBy says in a word who knew: the commit, the batch, the cache, the database.
	DecidedBy string
	// MessageID, Attempt and Instance say which delivery was answered and by whom. The ID is as
	// the sender's client wrote it: quote it before a terminal sees it.
	MessageID string
	Attempt   int
	Instance  string
	Steps     Steps
}

// First is the answer that a request got when it was decided.
type First struct {
	Outcome Outcome
	Reason  Reason
	// Serial is the serial number that was decided: another one than the result's when the
	// order was paid under it.
	Serial    Serial
	DecidedAt time.Time
}

// Steps are the times that a delivery spent in each step, zero for a step it did not reach. They
// are written in microseconds.
type Steps struct {
	Wait, Cache, Find, Commit, Put time.Duration
}

// resultJSON is a result as it is written.
type resultJSON struct {
	Version   int        `json:"version"`
	OrderID   ID         `json:"order_id"`
	Serial    Serial     `json:"serial_no"`
	Outcome   Outcome    `json:"outcome"`
	Reason    Reason     `json:"reason,omitempty"`
	Duplicate bool       `json:"duplicate"`
	First     *firstJSON `json:"first,omitempty"`
	DecidedAt time.Time  `json:"decided_at,omitzero"`
	DecidedBy string     `json:"decided_by,omitempty"`
	MessageID string     `json:"message_id,omitempty"`
	Attempt   int        `json:"attempt,omitempty"`
	Instance  string     `json:"instance,omitempty"`
	Steps     stepsJSON  `json:"steps_us"`
}

type firstJSON struct {
	Outcome   Outcome   `json:"outcome"`
	Reason    Reason    `json:"reason,omitempty"`
	Serial    Serial    `json:"serial_no"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
}

type stepsJSON struct {
	Wait   int64 `json:"wait"`
	Cache  int64 `json:"cache"`
	Find   int64 `json:"find"`
	Commit int64 `json:"commit"`
	Put    int64 `json:"put"`
}

// EncodeResult writes a result message. It refuses a result that is not an answer: see
// Result.Outcome.
func EncodeResult(r Result) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	w := resultJSON{
		Version: ResultVersion, OrderID: r.OrderID, Serial: r.Serial,
		Outcome: r.Outcome, Reason: r.Reason, Duplicate: r.Duplicate,
		DecidedAt: r.DecidedAt.UTC(), DecidedBy: r.DecidedBy,
		MessageID: r.MessageID, Attempt: r.Attempt, Instance: r.Instance,
		Steps: stepsJSON{
			Wait: r.Steps.Wait.Microseconds(), Cache: r.Steps.Cache.Microseconds(),
			Find: r.Steps.Find.Microseconds(), Commit: r.Steps.Commit.Microseconds(),
			Put: r.Steps.Put.Microseconds(),
		},
	}
	if r.First != nil {
		first := firstJSON(*r.First)
		first.DecidedAt = first.DecidedAt.UTC()
		w.First = &first
	}
	return json.Marshal(w)
}

// DecodeResult reads a result message. Fields that are not known are ignored; the version, the
// outcomes and the IDs are checked. The error is an *InvalidError.
func DecodeResult(body []byte) (Result, error) {
	if len(body) > maxResult {
		return Result{}, invalid(CodeTooLarge, "", "must be at most 64 KiB")
	}
	var w resultJSON
	if err := json.Unmarshal(body, &w); err != nil {
		return Result{}, decodeError(err)
	}
	if w.Version != ResultVersion {
		return Result{}, invalid(CodeVersion, fieldVersion, "must be 1")
	}
	r := Result{
		OrderID: w.OrderID, Serial: w.Serial,
		Outcome: w.Outcome, Reason: w.Reason, Duplicate: w.Duplicate,
		First: (*First)(w.First), DecidedAt: w.DecidedAt, DecidedBy: w.DecidedBy,
		MessageID: w.MessageID, Attempt: w.Attempt, Instance: w.Instance,
		Steps: Steps{
			Wait: micros(w.Steps.Wait), Cache: micros(w.Steps.Cache),
			Find: micros(w.Steps.Find), Commit: micros(w.Steps.Commit),
			Put: micros(w.Steps.Put),
		},
	}
	if err := r.check(); err != nil {
		return Result{}, err
	}
	return r, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (r Result) check() error {
	if err := checkID(fieldOrderID, string(r.OrderID)); err != nil {
		return err
	}
	if err := checkID(fieldSerial, string(r.Serial)); err != nil {
		return err
	}
	if !r.Outcome.answers() {
		return invalid(CodeOutcome, fieldOutcome, "must be paid, declined, duplicate or conflict")
	}
	if r.First == nil {
		return nil
	}
	if !r.First.Outcome.answers() {
		return invalid(CodeOutcome, "first."+fieldOutcome,
			"must be paid, declined, duplicate or conflict")
	}
	return checkID("first."+fieldSerial, string(r.First.Serial))
}

// decodeError keeps the kind of an error of encoding/json and leaves its text behind, which
// quotes what was read.
func decodeError(err error) error {
	var (
		own  *InvalidError
		kind *json.UnmarshalTypeError
		when *time.ParseError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &kind):
		return invalid(CodeType, kind.Field, "is of another JSON type")
	case errors.As(err, &when):
		return invalid(CodeTime, fieldDecidedAt, "must be a time of RFC 3339")
	}
	return invalid(CodeBadJSON, "", "must be one JSON object")
}
