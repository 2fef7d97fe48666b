package main

import (
	"fmt"
	"iter"

	"example.com/payment/internal/order"
)

// kind says why a message is sent.
type kind string

const (
	first     kind = "first"     // the order for the first time
	repeat    kind = "repeat"    // the same request again, as a new message
	altered   kind = "altered"   // the same serial number with another amount
	malformed kind = "malformed" // not a valid order message
)

// kinds are all of them, in the order in which they are reported.
func kinds() []kind { return []kind{first, repeat, altered, malformed} }

// message is one message of a load.
type message struct {
	kind kind
	// order is what the message is about. A malformed one may say otherwise.
	order order.Order
	key   string
	body  []byte
}

// source gives the messages of a load. A *lineError skips one line; any other error is the last.
type source = iter.Seq2[message, error]

// lineError is what is wrong with one line of a file.
type lineError struct {
	file string
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("%s: line %d: %v", e.file, e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

func valid(k kind, o order.Order) message {
	return message{kind: k, order: o, key: string(o.ID), body: order.Encode(o)}
}
