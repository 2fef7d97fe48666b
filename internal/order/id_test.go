package order_test

import (
	"regexp"
	"strings"
	"testing"

	"example.com/payment/internal/order"

	"pgregory.net/rapid"
)

func TestParseID_Accepts(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"a", "Z", "0", "9", "ORDERID_100", "a_.:-", "A:b.c-d_e", strings.Repeat("a", order.MaxID),
	} {
		if got, err := order.ParseID(s); err != nil || string(got) != s {
			t.Errorf("ParseID(%q) = %q, %v", s, got, err)
		}
		if got, err := order.ParseSerial(s); err != nil || string(got) != s {
			t.Errorf("ParseSerial(%q) = %q, %v", s, got, err)
		}
		if got, err := order.ParseAccount(s); err != nil || string(got) != s {
			t.Errorf("ParseAccount(%q) = %q, %v", s, got, err)
		}
	}
}

func TestParseID_Refuses(t *testing.T) {
	t.Parallel()
	_, err := order.ParseID("")
	wantCode(t, err, order.CodeID, "order_id")
	_, err = order.ParseSerial("a b")
	wantCode(t, err, order.CodeID, "serial_no")
	_, err = order.ParseAccount(strings.Repeat("a", order.MaxID+1))
	wantCode(t, err, order.CodeID, "account")
}

// TestParseID_Shape compares with the pattern that other programs are given, byte by byte.
func TestParseID_Shape(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\z`)
	same := func(s string) bool {
		_, err := order.ParseID(s)
		return (err == nil) == shape.MatchString(s)
	}
	for b := range 256 {
		for _, s := range []string{string([]byte{byte(b)}), string([]byte{'a', byte(b)})} {
			if !same(s) {
				t.Errorf("ParseID(%q) does not agree with the pattern", s)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9_.:-]{0,70}`), rapid.String()).Draw(t, "id")
		if !same(s) {
			t.Fatalf("ParseID(%q) does not agree with the pattern", s)
		}
	})
}
