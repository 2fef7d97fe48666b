package order_test

import (
	"errors"
	"math"
	"testing"

	"example.com/payment/internal/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		decimal  string
		currency order.Currency
		minor    int64
	}{
		{"19.99", "CNY", 1999},
		{"19.9", "CNY", 1990},
		{"19", "CNY", 1900},
		{"0.01", "CNY", 1},
		{"0", "CNY", 0},
		{"0.00", "CNY", 0},
		{"1999", "JPY", 1999},
		{"0", "JPY", 0},
		{"19.999", "KWD", 19999},
		{"0.001", "KWD", 1},
		{"1.5", "KWD", 1500},
		{"1.2345", "UYW", 12345},
		{"7", "UYW", 70000},
		{"92233720368547758.07", "CNY", math.MaxInt64},
		{"9223372036854775807", "JPY", math.MaxInt64},
		{"922337203685477.5807", "UYW", math.MaxInt64},
	} {
		got, err := order.ParseMoney(test.decimal, test.currency)
		want := order.Money{Minor: test.minor, Currency: test.currency}
		if err != nil || got != want {
			t.Errorf("ParseMoney(%q, %s) = %v, %v; want %v", test.decimal, test.currency, got, err, want)
		}
	}
}

func TestParseMoney_Refuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		decimal  string
		currency order.Currency
		want     order.InvalidError
	}{
		{"", "CNY", amountError("must be written in digits, such as 19.99")},
		{".", "CNY", amountError("must be written in digits, such as 19.99")},
		{".5", "CNY", amountError("must be written in digits, such as 19.99")},
		{"5.", "CNY", amountError("must be written in digits, such as 19.99")},
		{"5.", "JPY", amountError("must be written in digits, such as 1999")},
		{"-1", "CNY", amountError("must be written in digits, such as 19.99")},
		{"+1", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1.-1", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1e3", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1.0e0", "KWD", amountError("must be written in digits, such as 1.999")},
		{"0x10", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1_000", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1,000.00", "CNY", amountError("must be written in digits, such as 19.99")},
		{"19,99", "CNY", amountError("must be written in digits, such as 19.99")},
		{"1.9.9", "CNY", amountError("must be written in digits, such as 19.99")},
		{" 19.99", "CNY", amountError("must be written in digits, such as 19.99")},
		{"19.99\n", "CNY", amountError("must be written in digits, such as 19.99")},
		{"019.99", "CNY", amountError("must be written in digits, such as 19.99")},
		{"00", "CNY", amountError("must be written in digits, such as 19.99")},
		{"NaN", "CNY", amountError("must be written in digits, such as 19.99")},
		{"Infinity", "UYW", amountError("must be written in digits, such as 0.1999")},
		{"１９", "CNY", amountError("must be written in digits, such as 19.99")},
		{"19.999", "CNY", amountError("CNY has 2 digits after the point, not more")},
		{"19.990", "CNY", amountError("CNY has 2 digits after the point, not more")},
		{"1.0", "JPY", amountError("JPY has 0 digits after the point, not more")},
		{"1.0000", "KWD", amountError("KWD has 3 digits after the point, not more")},
		{"1.00000", "UYW", amountError("UYW has 4 digits after the point, not more")},
		{"92233720368547758.08", "CNY", overflowError()},
		{"9223372036854775808", "JPY", overflowError()},
		{"92233720368547759", "CNY", overflowError()},
		{"18446744073709551617", "JPY", overflowError()},
		{"99999999999999999999999999999999", "JPY", overflowError()},
		{"1", "XXX", currencyError()},
		{"1", "cny", currencyError()},
		{"1", "", currencyError()},
	} {
		got, err := order.ParseMoney(test.decimal, test.currency)
		if got != (order.Money{}) {
			t.Errorf("ParseMoney(%q, %s) = %v with error %v", test.decimal, test.currency, got, err)
		}
		var invalid *order.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("ParseMoney(%q, %s): %v is not an *InvalidError", test.decimal, test.currency, err)
			continue
		}
		if diff := cmp.Diff(test.want, *invalid); diff != "" {
			t.Errorf("ParseMoney(%q, %s) (-want +got):\n%s", test.decimal, test.currency, diff)
		}
	}
}

func amountError(detail string) order.InvalidError {
	return order.InvalidError{Code: order.CodeAmount, Field: "amount", Detail: detail}
}

func overflowError() order.InvalidError {
	return order.InvalidError{
		Code: order.CodeAmountLimit, Field: "amount", Detail: "is more than fits",
	}
}

func currencyError() order.InvalidError {
	return order.InvalidError{Code: order.CodeCurrency, Field: "currency",
		Detail: "must be an active currency of ISO 4217 in capital letters, such as CNY"}
}

func TestMoney_String(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		money order.Money
		want  string
	}{
		{order.Money{Minor: 1999, Currency: "CNY"}, "19.99 CNY"},
		{order.Money{Minor: 0, Currency: "CNY"}, "0.00 CNY"},
		{order.Money{Minor: 5, Currency: "CNY"}, "0.05 CNY"},
		{order.Money{Minor: 100, Currency: "CNY"}, "1.00 CNY"},
		{order.Money{Minor: 1999, Currency: "JPY"}, "1999 JPY"},
		{order.Money{Minor: 1, Currency: "KWD"}, "0.001 KWD"},
		{order.Money{Minor: 12345, Currency: "UYW"}, "1.2345 UYW"},
		{order.Money{Minor: -1999, Currency: "CNY"}, "-19.99 CNY"},
		{order.Money{Minor: -5, Currency: "CNY"}, "-0.05 CNY"},
		{order.Money{Minor: -5, Currency: "JPY"}, "-5 JPY"},
		{order.Money{Minor: math.MaxInt64, Currency: "CNY"}, "92233720368547758.07 CNY"},
		{order.Money{Minor: math.MinInt64, Currency: "CNY"}, "-92233720368547758.08 CNY"},
		{order.Money{Minor: math.MinInt64, Currency: "JPY"}, "-9223372036854775808 JPY"},
		{order.Money{Minor: 1999, Currency: "BGN"}, `1999 minor units of "BGN"`},
		{order.Money{Minor: 1999}, `1999 minor units of ""`},
	} {
		if got := test.money.String(); got != test.want {
			t.Errorf("String = %q, want %q", got, test.want)
		}
	}
}

func TestMoney_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := order.Money{
			Minor:    rapid.Int64Min(0).Draw(t, "minor"),
			Currency: rapid.SampledFrom(allCurrencies()).Draw(t, "currency"),
		}
		got, err := order.ParseMoney(want.Decimal(), want.Currency)
		if err != nil || got != want {
			t.Fatalf("ParseMoney(%q) = %v, %v; want %v", want.Decimal(), got, err, want)
		}
	})
}
