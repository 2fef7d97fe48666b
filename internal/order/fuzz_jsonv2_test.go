//go:build goexperiment.jsonv2

package order_test

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"testing"

	"example.com/payment/internal/order"
)

// FuzzDecodeV2 compares Decode with the second version of encoding/json, which is nearly as
// strict. Run it, and the seeds as a test, with GOEXPERIMENT=jsonv2.
func FuzzDecodeV2(f *testing.F) {
	f.Add("ORDERID_100", []byte(golden))
	for _, c := range hostile() {
		if len(c.body) < 1<<10 {
			f.Add("ORDERID_100", []byte(c.body))
		}
	}
	f.Fuzz(func(t *testing.T, key string, body []byte) {
		o, err := order.Decode(key, body, order.DefaultLimits())
		if err != nil {
			checkRefusalV2(t, err, body)
			return
		}
		var strict struct {
			Version  int64  `json:"version"`
			OrderID  string `json:"order_id"`
			SerialNo string `json:"serial_no"`
			Payer    string `json:"payer"`
			Payee    string `json:"payee"`
			Amount   int64  `json:"amount"`
			Currency string `json:"currency"`
		}
		if err := json.Unmarshal(body, &strict); err != nil {
			t.Fatalf("json/v2 refuses what Decode accepts: %v", err)
		}
		want := order.Order{
			ID: order.ID(strict.OrderID), Serial: order.Serial(strict.SerialNo),
			Payer: order.Account(strict.Payer), Payee: order.Account(strict.Payee),
			Amount: order.Money{
				Minor: strict.Amount, Currency: order.Currency(strict.Currency),
			},
		}
		if o != want {
			t.Fatalf("Decode = %+v, json/v2 = %+v", o, want)
		}
	})
}

// checkRefusalV2 expects that json/v2 finds something wrong too wherever the form was refused,
// and nothing where only the content was. A name in two cases is no error there.
func checkRefusalV2(t *testing.T, err error, body []byte) {
	t.Helper()
	var invalid *order.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v is not an *InvalidError", err)
	}
	valid := jsontext.Value(body).IsValid()
	switch invalid.Code {
	case order.CodeBadJSON, order.CodeBadUTF8, order.CodeTrailing:
		if valid {
			t.Fatalf("error %v for what json/v2 finds valid", err)
		}
	case order.CodeNotObject, order.CodeDuplicate, order.CodeCase,
		order.CodeTooDeep, order.CodeTooLarge, order.CodeEmpty:
		// What follows the place of the error was not looked at.
	default:
		if !valid {
			t.Fatalf("error %v, but json/v2 finds the form wrong", err)
		}
	}
}
