package order_test

import (
	"errors"
	"testing"

	"example.com/payment/internal/order"

	"github.com/bojanz/currency"
	"github.com/google/go-cmp/cmp"
)

// notForPayments are the codes that the oracle has and the table leaves out, and why.
func notForPayments() map[string]string {
	return map[string]string{
		"BOV": "funds code: Bolivian unit of account, indexed to the dollar",
		"CHE": "funds code: complementary currency of the WIR bank",
		"CHW": "funds code: complementary currency of the WIR bank",
		"CLF": "funds code: Chilean unit of account, indexed to prices",
		"COU": "funds code: Colombian unit of account, indexed to prices",
		"MXV": "funds code: Mexican unit of account, indexed to prices",
		"USN": "funds code: dollars settled on the next day",
		"UYI": "funds code: Uruguayan unit of account, indexed to prices",
		"XAD": "unit of account between members of the Arab Monetary Fund",
	}
}

// allCodes returns every string of three capital letters.
func allCodes() []string {
	codes := make([]string, 0, 26*26*26)
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			for c := 'A'; c <= 'Z'; c++ {
				codes = append(codes, string([]rune{a, b, c}))
			}
		}
	}
	return codes
}

func allCurrencies() []order.Currency {
	var all []order.Currency
	for _, code := range allCodes() {
		if c, err := order.ParseCurrency(code); err == nil {
			all = append(all, c)
		}
	}
	return all
}

// The oracle was made from the standard's own list, by other people with another program.
func TestCurrencies_AgreeWithOracle(t *testing.T) {
	t.Parallel()
	leftOut := notForPayments()
	want := map[string]int{}
	for _, code := range currency.GetCurrencyCodes() {
		if _, ok := leftOut[code]; ok {
			delete(leftOut, code)
			continue
		}
		digits, _ := currency.GetDigits(code)
		want[code] = int(digits)
	}
	got := map[string]int{}
	for _, c := range allCurrencies() {
		got[string(c)] = c.Digits()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("digits of all currencies (-oracle +table):\n%s", diff)
	}
	if len(leftOut) > 0 {
		t.Errorf("deviations from the oracle that are none: %v", leftOut)
	}
}

func TestParseCurrency_Refuses(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		"", "C", "CN", "CNYX", "cny", "Cny", "CNY ", " CNY", "CNY\x00", "156", "RMB", "СNY",
		"XXX", "XTS", "XAU", "XDR", "BGN", "HRK", "DEM",
	} {
		got, err := order.ParseCurrency(code)
		var invalid *order.InvalidError
		if got != "" || !errors.As(err, &invalid) || invalid.Code != order.CodeCurrency {
			t.Errorf("ParseCurrency(%q) = %q, %v; want code %s", code, got, err, order.CodeCurrency)
		}
		if digits := order.Currency(code).Digits(); digits != -1 {
			t.Errorf("Digits of %q = %d, want -1", code, digits)
		}
	}
}
