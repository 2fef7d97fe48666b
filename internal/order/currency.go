package order

//go:generate go run ./internal/gen internal/gen/iso4217.csv currency_table.go

// Currency is an active currency of ISO 4217 in capital letters, such as CNY. Funds codes, units
// of account, metals and the testing codes are not currencies here: nobody is paid in them.
type Currency string

// ParseCurrency returns s as a currency, or an *InvalidError. Lower case is refused.
func ParseCurrency(s string) (Currency, error) {
	if _, ok := currencyDigits(s); !ok {
		return "", invalid(CodeCurrency, fieldCurrency,
			"must be an active currency of ISO 4217 in capital letters, such as CNY")
	}
	return Currency(s), nil
}

// Digits returns how many decimal places amounts of the currency have: 0 for JPY, 2 for CNY, 3
// for KWD, 4 for UYW. It returns -1 for a currency that is not known, which a stored one may
// become: countries do withdraw currencies.
func (c Currency) Digits() int {
	digits, ok := currencyDigits(string(c))
	if !ok {
		return -1
	}
	return digits
}
