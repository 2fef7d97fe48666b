package order

import (
	"math"
	"strconv"
	"strings"
)

// Money is an amount of a currency in the currency's minor units: cents, fen, fils, whole yen.
type Money struct {
	Minor    int64
	Currency Currency
}

// ParseMoney reads an amount written in decimal: digits, and where the currency has minor units
// and the amount needs them, a point and more digits. Nothing is rounded: an amount that the
// currency cannot express is refused, and so are signs, exponents, spaces, separators and zeros
// in front. The error is an *InvalidError.
func ParseMoney(decimal string, c Currency) (Money, error) {
	digits := c.Digits()
	if digits < 0 {
		_, err := ParseCurrency(string(c))
		return Money{}, err
	}
	whole, fraction, point := strings.Cut(decimal, ".")
	if !isWhole(whole) || point && !allDigits(fraction) {
		return Money{}, invalid(CodeAmount, fieldAmount,
			"must be written in digits, such as "+Money{Minor: 1999, Currency: c}.Decimal())
	}
	if len(fraction) > digits {
		return Money{}, invalid(CodeAmount, fieldAmount,
			string(c)+" has "+strconv.Itoa(digits)+" digits after the point, not more")
	}
	minor, ok := parseMinor(whole + fraction + strings.Repeat("0", digits-len(fraction)))
	if !ok {
		return Money{}, invalid(CodeAmountLimit, fieldAmount, "is more than fits")
	}
	return Money{Minor: minor, Currency: c}, nil
}

// Decimal returns the amount in decimal with all digits of its currency, such as 19.99; minor
// units as they are for a currency that is not known.
func (m Money) Decimal() string {
	digits := m.Currency.Digits()
	if digits <= 0 {
		return strconv.FormatInt(m.Minor, 10)
	}
	sign, abs := "", uint64(m.Minor)
	if m.Minor < 0 {
		sign, abs = "-", -abs // two's complement: right for the smallest int64 too
	}
	s := strconv.FormatUint(abs, 10)
	if missing := digits + 1 - len(s); missing > 0 {
		s = strings.Repeat("0", missing) + s
	}
	return sign + s[:len(s)-digits] + "." + s[len(s)-digits:]
}

// String returns the amount in decimal with its currency, such as 19.99 CNY.
func (m Money) String() string {
	if m.Currency.Digits() < 0 {
		return m.Decimal() + " minor units of " + strconv.Quote(string(m.Currency))
	}
	return m.Decimal() + " " + string(m.Currency)
}

// isWhole accepts what JSON accepts as a number without a sign: digits, and no zero in front.
func isWhole[S ~string | ~[]byte](s S) bool {
	return allDigits(s) && (len(s) == 1 || s[0] != '0')
}

func allDigits[S ~string | ~[]byte](s S) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return len(s) > 0
}

// parseMinor reads digits; ok is false when the number is more than an int64 holds.
func parseMinor[S ~string | ~[]byte](digits S) (minor int64, ok bool) {
	for i := range len(digits) {
		d := int64(digits[i] - '0')
		if minor > (math.MaxInt64-d)/10 {
			return 0, false
		}
		minor = minor*10 + d
	}
	return minor, true
}
