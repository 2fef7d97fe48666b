package order_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"example.com/payment/internal/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// golden is the message of sample, byte for byte what Encode writes.
const golden = `{"version":1,"order_id":"ORDERID_100","serial_no":"PAY_100","payer":"user-1",` +
	`"payee":"shop-1","amount":1999,"currency":"CNY"}`

func sample() order.Order {
	return order.Order{
		ID: "ORDERID_100", Serial: "PAY_100", Payer: "user-1", Payee: "shop-1",
		Amount: order.Money{Minor: 1999, Currency: "CNY"},
	}
}

// with returns the golden message with one part replaced.
func with(part, replacement string) string {
	if strings.Count(golden, part) != 1 {
		panic("not exactly once in the golden message: " + part)
	}
	return strings.Replace(golden, part, replacement, 1)
}

// plus returns the golden message with a field added.
func plus(field string) string { return strings.TrimSuffix(golden, "}") + "," + field + "}" }

func decode(body string) (order.Order, error) {
	return order.Decode("ORDERID_100", []byte(body), order.DefaultLimits())
}

func TestEncode_Golden(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(golden, string(order.Encode(sample()))); diff != "" {
		t.Errorf("Encode (-want +got):\n%s", diff)
	}
}

// An order that nobody validated may be refused by every consumer, but it cannot become another.
func TestEncode_CannotBeInjected(t *testing.T) {
	t.Parallel()
	forged := sample()
	forged.Payer = `user-1","amount":1,"x":"`
	_, err := decode(string(order.Encode(forged)))
	wantCode(t, err, order.CodeID, "payer")
}

func TestDecode_Accepts(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("[", order.MaxDepth-1) + strings.Repeat("]", order.MaxDepth-1)
	white := strings.NewReplacer(":", " :\n", ",", "\t,\r")
	for name, body := range map[string]string{
		"Golden": golden,
		"White":  " \t\r\n" + white.Replace(golden) + "\n ",
		"OtherFieldOrder": `{"currency":"CNY","amount":1999,"payee":"shop-1","payer":"user-1",` +
			`"serial_no":"PAY_100","order_id":"ORDERID_100","version":1}`,
		"EscapedValue":     with("PAY_100", `\u0050AY\u005f100`),
		"CapitalHexDigits": with("PAY_100", `PAY\u005F10\u0030`),
		"EscapedSlash":     plus(`"url":"https:\/\/example.com\/\"\\\b\f\n\r\t"`),
		"EscapedName":      with(`"amount"`, `"\u0061moun\u0074"`),
		"UnknownField":     plus(`"channel":"app"`),
		"UnknownNull":      plus(`"channel":null`),
		"UnknownFloats":    plus(`"rates":[0,-0,0.5,-1.5e10,1E+2,2e-3,-0.0,1e999]`),
		"UnknownNested":    plus(`"x":{"amount":"x","list":[{"amount":null},{"amount":2},[],{}]}`),
		"UnknownBooleans":  plus(`"t":true,"f":false`),
		"UnknownUnicode":   plus(`"名前":"支払い 😀 \ud83d\ude00 \u0000 \uFFFD"`),
		"UnknownEmptyName": plus(`"":1`),
		"UnknownDeepest":   plus(`"deep":` + nested),
		"ManySmallObjects": plus(`"list":[` + strings.Repeat(`{"a":1},`, 5000) + `{"a":1}]`),
		"LikeKnownNames":   plus(`"amounts":1,"amoun":2,"amount_":3,"am\u006funt ":4`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sample(), got); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
		})
	}
}

// What the business declines is not for the codec to reject.
func TestDecode_LeavesBusinessToBusiness(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		with(`"shop-1"`, `"user-1"`),          // payer = payee
		with(`"shop-1"`, `"no-such-account"`), // unknown account
		with(`"CNY"`, `"JPY"`),                // not the account's currency
		with(`1999`, `1`),
		with(`1999`, `1000000000000`),
	} {
		if _, err := decode(body); err != nil {
			t.Errorf("Decode(%s): %v", body, err)
		}
	}
}

// TestDecode_Refuses is the list of hostile and mistaken messages.
func TestDecode_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range hostile() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := decode(test.body)
			if got != (order.Order{}) {
				t.Errorf("Decode = %+v with an error", got)
			}
			wantCode(t, err, test.code, test.field)
		})
	}
}

func wantCode(t *testing.T, err error, code order.Code, field string) {
	t.Helper()
	var invalid *order.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("error %v, want code %s", err, code)
	}
	if invalid.Code != code || invalid.Field != field {
		t.Errorf("error %q, want code %s of field %q", err, code, field)
	}
	if invalid.Detail == "" || !strings.HasPrefix(err.Error(), string(code)+": ") {
		t.Errorf("error %q does not say why", err)
	}
}

func TestDecode_KeyMismatch(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"", "ORDERID_10", "ORDERID_1000", "orderid_100", "ORDERID_100 ", "ORDERID_100 PAY_100",
		"PAY_100", "*", "{tag}", "ORDERID_100\r\n", "ОRDERID_100",
	} {
		_, err := order.Decode(key, []byte(golden), order.DefaultLimits())
		wantCode(t, err, order.CodeKey, "order_id")
	}
}

func TestDecode_Limits(t *testing.T) {
	t.Parallel()
	limits := order.Limits{MaxBody: len(golden), MaxMinor: 1999}
	if _, err := order.Decode("ORDERID_100", []byte(golden), limits); err != nil {
		t.Errorf("at both limits: %v", err)
	}
	_, err := order.Decode("ORDERID_100", []byte(golden+" "), limits)
	wantCode(t, err, order.CodeTooLarge, "")
	limits.MaxMinor = 1998
	_, err = order.Decode("ORDERID_100", []byte(golden), limits)
	wantCode(t, err, order.CodeAmountLimit, "amount")
	limits = order.Limits{MaxBody: 1 << 10, MaxMinor: math.MaxInt64}
	o, err := order.Decode("ORDERID_100", []byte(with("1999", "9223372036854775807")), limits)
	if err != nil || o.Amount.Minor != math.MaxInt64 {
		t.Errorf("Decode = %+v, %v; want the largest amount", o, err)
	}
	_, err = order.Decode("ORDERID_100", []byte(golden), order.Limits{})
	wantCode(t, err, order.CodeTooLarge, "")
}

// The order is kept for as long as it takes; the client may use the body's memory again.
func TestDecode_DoesNotKeepTheBody(t *testing.T) {
	t.Parallel()
	body := []byte(golden)
	o, err := order.Decode("ORDERID_100", body, order.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 'X'
	}
	if diff := cmp.Diff(sample(), o); diff != "" {
		t.Errorf("the order changed with the body (-want +got):\n%s", diff)
	}
}

func TestDecode_ErrorsRepeatNothing(t *testing.T) {
	t.Parallel()
	const secret = "zq7secret"
	for _, body := range []string{
		secret, `"` + secret + `"`, `{"` + secret, `{"` + secret + `":` + secret + `}`,
		plus(`"` + secret + `":1,"` + secret + `":2`), plus(`"` + secret + `":"\ud800"`),
		golden + secret, with("PAY_100", secret+"!"), with("CNY", secret), with("ORDERID_100", secret),
		with("1999", `"`+secret+`"`), with("1999", secret), with("user-1", secret+" "),
		with(`"amount"`, `"AMOUNT","`+secret+`"`), with(`"payer"`, `"`+secret+`"`),
	} {
		_, err := decode(body)
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "zq7") {
			t.Errorf("Decode(%s): error %v", body, err)
		}
	}
	_, err := decode(with("1999", "4711471147114711"))
	if err == nil || strings.Contains(err.Error(), "4711") {
		t.Errorf("large amount: error %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := sample().Validate(order.DefaultLimits()); err != nil {
		t.Errorf("Validate of the sample: %v", err)
	}
	for field, test := range map[string]struct {
		change func(*order.Order)
		code   order.Code
	}{
		"order_id":  {func(o *order.Order) { o.ID = "" }, order.CodeID},
		"serial_no": {func(o *order.Order) { o.Serial = "a b" }, order.CodeID},
		"payer":     {func(o *order.Order) { o.Payer = "-a" }, order.CodeID},
		"payee":     {func(o *order.Order) { o.Payee = "ä" }, order.CodeID},
		"amount":    {func(o *order.Order) { o.Amount.Minor = 0 }, order.CodeAmount},
		"currency":  {func(o *order.Order) { o.Amount.Currency = "XXX" }, order.CodeCurrency},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			o := sample()
			test.change(&o)
			wantCode(t, o.Validate(order.DefaultLimits()), test.code, field)
		})
	}
}

func TestCodec_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawOrder(t, "order")
		for _, body := range [][]byte{order.Encode(want), rewrite(t, order.Encode(want))} {
			got, err := order.Decode(string(want.ID), body, order.DefaultLimits())
			if err != nil || got != want {
				t.Fatalf("Decode(%s) = %+v, %v; want %+v", body, got, err, want)
			}
		}
	})
}

// rewrite says the same in other bytes: fields in another order, unknown ones between them, and
// any character escaped.
func rewrite(t *rapid.T, body []byte) []byte {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	fields[rapid.StringMatching(`x[^A-Z\pM]{0,5}`).Draw(t, "unknown")] = json.RawMessage(
		rapid.SampledFrom([]string{`null`, `"a\\"`, `[{"a":1},{"a":2}]`, `1.5e3`}).Draw(t, "value"))
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	var b strings.Builder
	for i, name := range rapid.Permutation(names).Draw(t, "names") {
		b.WriteString([]string{`{`, `, `}[min(i, 1)])
		b.WriteString(escape(t, name) + " : ")
		var text string
		if json.Unmarshal(fields[name], &text) == nil && text != "" {
			b.WriteString(escape(t, text))
		} else {
			b.Write(fields[name])
		}
	}
	return []byte(b.String() + "}\n")
}

func escape(t *rapid.T, s string) string {
	quoted, _ := json.Marshal(s)
	if len(s) == 0 || s[0] >= 0x80 || !rapid.Bool().Draw(t, "escape") {
		return string(quoted)
	}
	rest, _ := json.Marshal(s[1:])
	return fmt.Sprintf(`"\u%04x%s`, s[0], rest[1:])
}

func drawOrder(t *rapid.T, label string) order.Order {
	id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}`)
	return order.Order{
		ID:     order.ID(id.Draw(t, label+" id")),
		Serial: order.Serial(id.Draw(t, label+" serial")),
		Payer:  order.Account(id.Draw(t, label+" payer")),
		Payee:  order.Account(id.Draw(t, label+" payee")),
		Amount: order.Money{
			Minor:    rapid.Int64Range(1, order.DefaultLimits().MaxMinor).Draw(t, label+" minor"),
			Currency: rapid.SampledFrom(allCurrencies()).Draw(t, label+" currency"),
		},
	}
}

// TestSerialOf: a message that is refused for what it says still has its serial number; one that
// cannot be read has none, and neither has one that is no serial number.
func TestSerialOf(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]order.Serial{
		golden:                             "PAY_100",
		with(`1999`, `-5`):                 "PAY_100",
		with(`"CNY"`, `"XXX"`):             "PAY_100",
		with(`"PAY_100"`, `"P\u0041Y_1"`):  "PAY_1",
		with(`"PAY_100"`, `"PAY 100"`):     "",
		with(`"PAY_100"`, `7`):             "",
		with(`"PAY_100"`, `null`):          "",
		with(`"serial_no"`, `"Serial_No"`): "",
		plus(`"serial_no":"PAY_2"`):        "",
		golden[:60]:                        "",
		golden + golden:                    "",
		"":                                 "",
		plus(`"x":"` + strings.Repeat("y", 1<<17) + `"`): "",
	} {
		got, found := order.SerialOf([]byte(body), order.DefaultLimits())
		if got != want || found != (want != "") {
			t.Errorf("SerialOf(%.90q) = %q, %t, want %q", body, got, found, want)
		}
	}
}
