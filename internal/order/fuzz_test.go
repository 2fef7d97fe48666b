package order_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"example.com/payment/internal/order"
)

// FuzzDecode compares Decode with encoding/json, which is laxer: what one reads the other reads
// alike, what is not JSON for one is not for the other, and what Encode writes is not refused.
func FuzzDecode(f *testing.F) {
	f.Add("ORDERID_100", []byte(golden))
	for _, c := range hostile() {
		if len(c.body) < 1<<10 {
			f.Add("ORDERID_100", []byte(c.body))
		}
	}
	f.Fuzz(func(t *testing.T, key string, body []byte) {
		limits := order.DefaultLimits()
		before := bytes.Clone(body)
		o, err := order.Decode(key, body, limits)
		if !bytes.Equal(before, body) {
			t.Fatal("Decode changed the body")
		}
		if err != nil {
			checkRefusal(t, o, err, body)
			checkNotEncoded(t, key, body, err)
			return
		}
		checkAccepted(t, key, body, o)
	})
}

func checkRefusal(t *testing.T, o order.Order, err error, body []byte) {
	t.Helper()
	var invalid *order.InvalidError
	if !errors.As(err, &invalid) || invalid.Code == "" || invalid.Detail == "" {
		t.Fatalf("error %#v is not a whole *InvalidError", err)
	}
	if o != (order.Order{}) {
		t.Fatalf("an order with the error %v: %+v", err, o)
	}
	if text := err.Error(); len(text) > 160 || strings.ContainsFunc(text, isUnprintable) {
		t.Fatalf("error %q is not one short line of ASCII", text)
	}
	form := invalid.Code == order.CodeBadJSON || invalid.Code == order.CodeTrailing
	if form && json.Valid(body) {
		t.Fatalf("error %v for what is JSON", err)
	}
	var object map[string]json.RawMessage
	isObject := json.Unmarshal(body, &object) == nil && object != nil
	if isObject && invalid.Code == order.CodeNotObject {
		t.Fatalf("error %v for an object", err)
	}
}

// checkNotEncoded fails if a body was refused that is, byte for byte, what Encode writes of
// a valid order.
func checkNotEncoded(t *testing.T, key string, body []byte, refusal error) {
	t.Helper()
	lax, err := decodeLax(body)
	if err != nil {
		return
	}
	o := lax.order()
	valid := o.Validate(order.DefaultLimits()) == nil && string(o.ID) == key
	if valid && bytes.Equal(order.Encode(o), body) {
		t.Fatalf("error %v for what Encode writes", refusal)
	}
}

func isUnprintable(r rune) bool { return r < ' ' || r > '~' }

func checkAccepted(t *testing.T, key string, body []byte, o order.Order) {
	t.Helper()
	lax, err := decodeLax(body)
	if err != nil {
		t.Fatalf("encoding/json refuses what Decode accepts: %v", err)
	}
	want := lax.order()
	if o != want || lax.Version != 1 || lax.OrderID != key {
		t.Fatalf("Decode = %+v, encoding/json = %+v", o, lax)
	}
	if err := o.Validate(order.DefaultLimits()); err != nil {
		t.Fatalf("Decode accepts what Validate does not: %v", err)
	}
	again, err := order.Decode(key, order.Encode(o), order.DefaultLimits())
	if err != nil || again != o {
		t.Fatalf("Decode(Encode(%+v)) = %+v, %v", o, again, err)
	}
}

// laxOrder is an order message as encoding/json reads it.
type laxOrder struct {
	Version  int
	OrderID  string `json:"order_id"`
	SerialNo string `json:"serial_no"`
	Payer    string
	Payee    string
	Amount   int64
	Currency string
}

func decodeLax(body []byte) (lax laxOrder, err error) {
	err = json.Unmarshal(body, &lax)
	return lax, err
}

func (l laxOrder) order() order.Order {
	return order.Order{
		ID: order.ID(l.OrderID), Serial: order.Serial(l.SerialNo),
		Payer: order.Account(l.Payer), Payee: order.Account(l.Payee),
		Amount: order.Money{Minor: l.Amount, Currency: order.Currency(l.Currency)},
	}
}
