package main

import (
	"bytes"
	"math/rand/v2"
	"strings"

	"example.com/payment/internal/order"
)

// malforming is one way to break an order message.
type malforming struct {
	// code is what a consumer finds wrong with it.
	code order.Code
	// spoil changes the body. Each result differs from order to order: a consumer that keeps
	// equal messages once would else keep fewer than were sent.
	spoil func(body []byte) []byte
}

// malformings are mistakes that real senders make.
func malformings() []malforming {
	swap := func(old, new string) func([]byte) []byte {
		return func(body []byte) []byte {
			return bytes.Replace(body, []byte(old), []byte(new), 1)
		}
	}
	return []malforming{
		{order.CodeBadJSON, func(body []byte) []byte { return body[:len(body)-7] }},
		{order.CodeNotObject, func(body []byte) []byte {
			return append([]byte("please pay "), body...)
		}},
		{order.CodeNotObject, func(body []byte) []byte {
			return append(append([]byte("["), body...), ']')
		}},
		{order.CodeTrailing, func(body []byte) []byte { return append(body, body...) }},
		{order.CodeBadUTF8, swap(`"payer":"`, "\"payer\":\"\xff")},
		{order.CodeVersion, swap(`"version":1`, `"version":99`)},
		{order.CodeMissing, swap(`"serial_no"`, `"serial"`)},
		{order.CodeDuplicate, swap(`"currency"`, `"amount":1,"currency"`)},
		{order.CodeCase, swap(`"amount"`, `"Amount"`)},
		{order.CodeNull, swap(`"payer":`, `"payer":null,"paying":`)},
		{order.CodeType, swap(`"amount":`, `"amount":"19.99","total":`)},
		{order.CodeAmount, swap(`"amount":`, `"amount":19.99,"total":`)},
		{order.CodeAmount, swap(`"amount":`, `"amount":0,"total":`)},
		{order.CodeCurrency, swap(`"currency":"`, `"currency":"?`)},
		{order.CodeID, swap(`"payee":"`, `"payee":" `)},
		{order.CodeKey, swap(`"order_id":"ORDERID_`, `"order_id":"ANOTHER_`)},
	}
}

// malform makes a message that no consumer can read, with the order's Key. Its serial number is
// one of its own: whatever becomes of the message, it must not touch the order's.
func malform(o order.Order, rng *rand.Rand) message {
	o.Serial = order.Serial(strings.Replace(string(o.Serial), "PAY_", "BAD_", 1))
	all := malformings()
	body := all[rng.IntN(len(all))].spoil(order.Encode(o))
	return message{kind: malformed, order: o, key: string(o.ID), body: body}
}
