package order

// Code says in one stable word why something is not a valid order message. Codes are kept as
// quarantine reasons and counted as metric labels, so they are added to and never renamed.
type Code string

// Codes about the message as a whole.
const (
	// CodeEmpty: the body has no bytes.
	CodeEmpty Code = "body_empty"
	// CodeTooLarge: the body is longer than Limits.MaxBody.
	CodeTooLarge Code = "body_too_large"
	// CodeBadUTF8: the body is not UTF-8, or begins with a byte order mark, or escapes half of a
	// surrogate pair.
	CodeBadUTF8 Code = "bad_utf8"
	// CodeBadJSON: the body is not JSON.
	CodeBadJSON Code = "bad_json"
	// CodeNotObject: the body is JSON, but not an object.
	CodeNotObject Code = "not_an_object"
	// CodeTrailing: something follows the object.
	CodeTrailing Code = "trailing_data"
	// CodeTooDeep: arrays and objects nest deeper than MaxDepth.
	CodeTooDeep Code = "too_deep"
	// CodeVersion: the version is not one that this program reads.
	CodeVersion Code = "unknown_version"
	// CodeKey: the message's Key is not its order ID.
	CodeKey Code = "key_mismatch"
)

// Codes about one field.
const (
	// CodeDuplicate: two fields of one object have the same name, or names that differ only in
	// case. Readers disagree about which of them counts.
	CodeDuplicate Code = "duplicate_field"
	// CodeCase: a field's name is a known one in another case. Some readers would take it.
	CodeCase Code = "field_case"
	// CodeMissing: a known field is not there.
	CodeMissing Code = "missing_field"
	// CodeNull: a known field is null.
	CodeNull Code = "null_field"
	// CodeType: a known field is of another JSON type, as an amount in quotes is.
	CodeType Code = "wrong_type"
	// CodeID: an order ID, serial number or account is not 1 to 64 letters, digits, '_', '.', ':'
	// or '-', with a letter or digit first.
	CodeID Code = "bad_id"
	// CodeAmount: the amount is not written as one must be, or is less than one minor unit.
	CodeAmount Code = "bad_amount"
	// CodeAmountLimit: the amount is more than Limits.MaxMinor, or more than fits.
	CodeAmountLimit Code = "amount_over_limit"
	// CodeCurrency: the currency is not an active one of ISO 4217 in capital letters.
	CodeCurrency Code = "unknown_currency"
	// CodeOutcome: a result's outcome is not one that answers a request.
	CodeOutcome Code = "bad_outcome"
	// CodeTime: a result's time is not one of RFC 3339.
	CodeTime Code = "bad_time"
)

// InvalidError says why something is not valid. It names fields and expectations and never
// contains any part of what was read, so it may be logged, stored and shown whatever the sender
// wrote.
type InvalidError struct {
	Code Code
	// Field is the known field that the error is about; empty when it is about the whole.
	Field string
	// Detail says what was expected.
	Detail string
}

// Error returns the code, the field and the detail in one line.
func (e *InvalidError) Error() string {
	if e.Field == "" {
		return string(e.Code) + ": " + e.Detail
	}
	return string(e.Code) + ": " + e.Field + ": " + e.Detail
}

func invalid(code Code, field, detail string) *InvalidError {
	return &InvalidError{Code: code, Field: field, Detail: detail}
}
