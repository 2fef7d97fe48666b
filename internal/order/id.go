package order

// MaxID is the length limit, in bytes, of order IDs, serial numbers and accounts.
const MaxID = 64

const idShape = "must be 1 to 64 letters, digits, '_', '.', ':' or '-', a letter or digit first"

// ParseID returns s as an order ID, or an *InvalidError.
func ParseID(s string) (ID, error) {
	if err := checkID(fieldOrderID, s); err != nil {
		return "", err
	}
	return ID(s), nil
}

// ParseSerial returns s as a serial number, or an *InvalidError.
func ParseSerial(s string) (Serial, error) {
	if err := checkID(fieldSerial, s); err != nil {
		return "", err
	}
	return Serial(s), nil
}

// ParseAccount returns s as an account, or an *InvalidError.
func ParseAccount(s string) (Account, error) {
	if err := checkID("account", s); err != nil {
		return "", err
	}
	return Account(s), nil
}

// checkID returns a plain error rather than an *InvalidError, so that no nil pointer ever hides
// in a non-nil error.
func checkID(field, s string) error {
	if !isID(s) {
		return invalid(CodeID, field, idShape)
	}
	return nil
}

// isID allows no byte outside ASCII. So no two IDs look alike without being equal bytes, apart
// from case, which counts; and none can forge a log line, a path or a statement.
func isID(s string) bool {
	if len(s) == 0 || len(s) > MaxID || !isAlphanumeric(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case isAlphanumeric(c):
		case c == '_' || c == '.' || c == ':' || c == '-':
		default:
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || isDigit(c)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
