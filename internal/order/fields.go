package order

import (
	"strings"
	"unicode"
)

// Names of the known fields of an order message. None has a capital letter.
const (
	fieldVersion  = "version"
	fieldOrderID  = "order_id"
	fieldSerial   = "serial_no"
	fieldPayer    = "payer"
	fieldPayee    = "payee"
	fieldAmount   = "amount"
	fieldCurrency = "currency"
)

// message holds the known fields of a scanned order message.
type message struct {
	version, id, serial, payer, payee, amount, currency value
}

// field returns the place of the named field, nil if it is not a known one. It refuses a known
// field that is there already or is written in another case.
func (m *message) field(name []byte) (*value, error) {
	if m == nil {
		return nil, nil
	}
	known := m.place(string(name))
	switch {
	case known == nil:
		folded := fold(name)
		if m.place(folded) == nil {
			return nil, nil
		}
		return nil, invalid(CodeCase, folded, "must be written in lower case")
	case known.kind != absent:
		return nil, invalid(CodeDuplicate, string(name), "must come once")
	}
	return known, nil
}

func (m *message) place(name string) *value {
	switch name {
	case fieldVersion:
		return &m.version
	case fieldOrderID:
		return &m.id
	case fieldSerial:
		return &m.serial
	case fieldPayer:
		return &m.payer
	case fieldPayee:
		return &m.payee
	case fieldAmount:
		return &m.amount
	case fieldCurrency:
		return &m.currency
	}
	return nil
}

// order converts the known fields. The version comes first, since under another version the
// other fields may mean something else.
func (m *message) order() (Order, error) {
	if err := m.version.want(number, fieldVersion); err != nil {
		return Order{}, err
	}
	if string(m.version.raw) != "1" {
		return Order{}, invalid(CodeVersion, fieldVersion, "must be 1")
	}
	for _, f := range [...]struct {
		value *value
		kind  kind
		name  string
	}{
		{&m.id, text, fieldOrderID},
		{&m.serial, text, fieldSerial},
		{&m.payer, text, fieldPayer},
		{&m.payee, text, fieldPayee},
		{&m.amount, number, fieldAmount},
		{&m.currency, text, fieldCurrency},
	} {
		if err := f.value.want(f.kind, f.name); err != nil {
			return Order{}, err
		}
	}
	minor, err := amount(m.amount.raw)
	return Order{
		ID:     ID(m.id.bytes()),
		Serial: Serial(m.serial.bytes()),
		Payer:  Account(m.payer.bytes()),
		Payee:  Account(m.payee.bytes()),
		Amount: Money{Minor: minor, Currency: Currency(m.currency.bytes())},
	}, err
}

// amount reads a number's literal. A fraction or an exponent is refused even where the number is
// whole (1.0, 1e3): who writes one has a float where money is.
func amount(literal []byte) (int64, error) {
	if !isWhole(literal) {
		return 0, invalid(CodeAmount, fieldAmount,
			"must be a positive integer of minor units, without fraction or exponent")
	}
	minor, ok := parseMinor(literal)
	if !ok {
		return 0, invalid(CodeAmountLimit, fieldAmount, "is more than fits")
	}
	return minor, nil
}

func (v *value) want(k kind, field string) error {
	switch {
	case v.kind == k:
		return nil
	case v.kind == absent:
		return invalid(CodeMissing, field, "must be there")
	case v.kind == null:
		return invalid(CodeNull, field, "must not be null")
	case k == number:
		return invalid(CodeType, field, "must be a JSON number")
	}
	return invalid(CodeType, field, "must be a JSON string")
}

// names are those fields of one object that are not known, folded. The map is made when there is
// one: an ordinary message has none.
type names map[string]struct{}

func (n *names) add(name []byte, s *scanner) error {
	folded := fold(name)
	if _, there := (*n)[folded]; there {
		return invalid(CodeDuplicate, "",
			"no two names in one object may be equal or differ only in case, before "+s.place())
	}
	if *n == nil {
		*n = make(names)
	}
	(*n)[folded] = struct{}{}
	return nil
}

// fold returns a name in which case makes no difference, as encoding/json compares names: 'K' and
// the Kelvin sign are equal to 'k', 'ſ' is equal to 's'.
func fold(name []byte) string {
	return strings.Map(foldRune, string(name))
}

// foldRune returns the lower case of ASCII letters, and of other letters the smallest one among
// those that differ only in case.
func foldRune(r rune) rune {
	smallest := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		smallest = min(smallest, next)
	}
	if smallest >= 'A' && smallest <= 'Z' {
		return smallest + ('a' - 'A')
	}
	return smallest
}
