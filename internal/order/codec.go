package order

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Version is the version of the order message that Encode writes and Decode reads.
const Version = 1

// Limits bound what Decode and Validate accept.
type Limits struct {
	// MaxBody is the length limit of a message's body in bytes.
	MaxBody int
	// MaxMinor is the largest amount of one order, in minor units of whatever currency.
	MaxMinor int64
}

// DefaultLimits allows bodies of 64 KiB and amounts of a million million minor units. That is
// far enough below 2^53 for no client's floating point to change an amount, and millions of such
// payments fit into a balance.
func DefaultLimits() Limits {
	return Limits{MaxBody: 64 << 10, MaxMinor: 1_000_000_000_000}
}

// Encode writes an order message. The order should be valid: see Validate.
func Encode(o Order) []byte {
	// Integers and strings only: Marshal has nothing to fail at.
	body, _ := json.Marshal(struct {
		Version  int      `json:"version"`
		ID       ID       `json:"order_id"`
		Serial   Serial   `json:"serial_no"`
		Payer    Account  `json:"payer"`
		Payee    Account  `json:"payee"`
		Amount   int64    `json:"amount"`
		Currency Currency `json:"currency"`
	}{Version, o.ID, o.Serial, o.Payer, o.Payee, o.Amount.Minor, o.Amount.Currency})
	return body
}

// Decode reads an order message: its body, and its Key, which must be the order ID. What it
// returns is valid. The error is an *InvalidError.
//
// It is strict where readers of JSON differ, since two readers that see two amounts in one
// message are how money gets lost: the body is UTF-8, one object and nothing else; no two fields
// of an object have the same name, in whatever case; known fields are all there, none is null,
// and amounts are plain integers. Fields that are not known are checked for form and ignored, so
// that a newer producer can talk to an older consumer.
//
// It does not refuse what is for the business to decline: a payer that is the payee too, an
// account that is not there, a currency that the account does not have.
func Decode(key string, body []byte, l Limits) (Order, error) {
	if err := checkBody(body, l); err != nil {
		return Order{}, err
	}
	s := scanner{data: body}
	m, err := s.message()
	if err != nil {
		return Order{}, err
	}
	o, err := m.order()
	if err != nil {
		return Order{}, err
	}
	if err := o.Validate(l); err != nil {
		return Order{}, err
	}
	if string(o.ID) != key {
		return Order{}, invalid(CodeKey, fieldOrderID, "must be the message's Key")
	}
	return o, nil
}

// SerialOf finds the serial number in a message that Decode refuses, for whoever looks for the
// message afterwards; it says nothing about the message. A body that cannot be read has none.
func SerialOf(body []byte, l Limits) (serial Serial, found bool) {
	if checkBody(body, l) != nil {
		return "", false
	}
	s := scanner{data: body}
	m, err := s.message()
	if err != nil || m.serial.kind != text {
		return "", false
	}
	serial, err = ParseSerial(string(m.serial.bytes()))
	return serial, err == nil
}

// Validate checks an order that was made in another way than by Decode: its IDs, its currency,
// and its amount, which is at least one minor unit. The error is an *InvalidError.
func (o Order) Validate(l Limits) error {
	for _, id := range [...]struct{ field, value string }{
		{fieldOrderID, string(o.ID)},
		{fieldSerial, string(o.Serial)},
		{fieldPayer, string(o.Payer)},
		{fieldPayee, string(o.Payee)},
	} {
		if err := checkID(id.field, id.value); err != nil {
			return err
		}
	}
	if o.Amount.Minor < 1 {
		return invalid(CodeAmount, fieldAmount, "must be at least one minor unit")
	}
	if o.Amount.Minor > l.MaxMinor {
		return overLimit(l)
	}
	_, err := ParseCurrency(string(o.Amount.Currency))
	return err
}

func overLimit(l Limits) error {
	return invalid(CodeAmountLimit, fieldAmount,
		"must be at most "+strconv.FormatInt(l.MaxMinor, 10)+" minor units")
}

// checkBody checks what needs no parsing. Size comes first: nothing else looks at a body that is
// too large.
func checkBody(body []byte, l Limits) error {
	switch {
	case len(body) == 0:
		return invalid(CodeEmpty, "", "must be a JSON object")
	case len(body) > l.MaxBody:
		return invalid(CodeTooLarge, "", "must be at most "+strconv.Itoa(l.MaxBody)+" bytes")
	case !utf8.Valid(body):
		return invalid(CodeBadUTF8, "", "must be UTF-8")
	case bytes.HasPrefix(body, []byte("\uFEFF")):
		return invalid(CodeBadUTF8, "", "must not begin with a byte order mark")
	}
	return nil
}
