package order_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"example.com/payment/internal/order"

	"pgregory.net/rapid"
)

// The digests were computed by another program, in another language, from the description in the
// comment of Fingerprint. They are stored in databases: if this test fails, the change needs a
// new version, not new digests.
func TestFingerprint_Golden(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		order order.Order
		want  string
	}{
		{
			order.Order{ID: "ORDERID_100", Serial: "PAY_100", Payer: "user-1", Payee: "shop-1",
				Amount: order.Money{Minor: 1999, Currency: "CNY"}},
			"f331c0355150d6ed6bf6e9e8a00478fc09c9fa8ffcc42a2ba9d77ab08693d14b",
		},
		{
			order.Order{ID: "o", Serial: "s", Payer: "a", Payee: "b",
				Amount: order.Money{Minor: 1, Currency: "JPY"}},
			"4ac489cca0bc0ec7f5d3db50abe8092600048f01c2aca4f08709dd4ef5bd7fbe",
		},
		{
			order.Order{
				ID: order.ID(strings.Repeat("z", 64)), Serial: "s",
				Payer:  order.Account(strings.Repeat("y", 64)),
				Payee:  order.Account(strings.Repeat("x", 64)),
				Amount: order.Money{Minor: 1_000_000_000_000, Currency: "UYW"},
			},
			"f2440ecc58d0c9331a764c6aaf12719d75492a1d91124cb64d449ec330644878",
		},
	} {
		got, ok := test.order.Fingerprint(1)
		if !ok || hex.EncodeToString(got[:]) != test.want {
			t.Errorf("Fingerprint of %s = %x, %v; want %s", test.order.ID, got, ok, test.want)
		}
	}
}

func TestFingerprint_UnknownVersion(t *testing.T) {
	t.Parallel()
	for _, version := range []int{-1, 0, order.FingerprintVersion + 1} {
		if sum, ok := sample().Fingerprint(version); ok || sum != [32]byte{} {
			t.Errorf("Fingerprint(%d) = %x, %v; want none", version, sum, ok)
		}
	}
	if _, ok := sample().Fingerprint(order.FingerprintVersion); !ok {
		t.Error("the current version is not known")
	}
}

func TestFingerprint_Covers(t *testing.T) {
	t.Parallel()
	first, _ := sample().Fingerprint(order.FingerprintVersion)
	for name, test := range map[string]struct {
		change func(*order.Order)
		same   bool
	}{
		"Serial":   {func(o *order.Order) { o.Serial = "PAY_101" }, true},
		"ID":       {func(o *order.Order) { o.ID = "ORDERID_101" }, false},
		"IDCase":   {func(o *order.Order) { o.ID = "orderid_100" }, false},
		"Payer":    {func(o *order.Order) { o.Payer = "user-2" }, false},
		"Payee":    {func(o *order.Order) { o.Payee = "shop-2" }, false},
		"Swapped":  {func(o *order.Order) { o.Payer, o.Payee = o.Payee, o.Payer }, false},
		"Amount":   {func(o *order.Order) { o.Amount.Minor++ }, false},
		"Currency": {func(o *order.Order) { o.Amount.Currency = "USD" }, false},
		"Boundary": {func(o *order.Order) { o.Payer, o.Payee = "user-1s", "hop-1" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := sample()
			test.change(&changed)
			second, _ := changed.Fingerprint(order.FingerprintVersion)
			if (second == first) != test.same {
				t.Errorf("equal = %v, want %v", second == first, test.same)
			}
		})
	}
}

func TestFingerprint_EqualOnlyForEqualContent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawOrder(t, "a"), drawOrder(t, "b")
		b.Serial = a.Serial
		sumA, _ := a.Fingerprint(order.FingerprintVersion)
		sumB, _ := b.Fingerprint(order.FingerprintVersion)
		if (sumA == sumB) != (a == b) {
			t.Fatalf("equal fingerprints: %v, equal orders: %v", sumA == sumB, a == b)
		}
	})
}
