package redis

import (
	"testing"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

func benchRing(b *testing.B) (Keyring, payment.Record) {
	b.Helper()
	ring, err := ParseKeyring("k1:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		b.Fatal(err)
	}
	return ring, payment.Record{
		Key: "PAY_0123456789abcdef01234567", Fingerprint: idem.Fingerprint{Version: 1},
		DecidedAt: time.Unix(1_700_000_000, 1000), Answer: payment.Answer{Outcome: order.Paid},
	}
}

// BenchmarkOpen is what one hit costs beside the network.
func BenchmarkOpen(b *testing.B) {
	ring, record := benchRing(b)
	value, err := seal(ring, "0123456789abcdef0123456789abcdef", record)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, problem := open[payment.Answer](ring, "0123456789abcdef0123456789abcdef", record.Key, value)
		if problem != "" {
			b.Fatal(problem)
		}
	}
}

// BenchmarkSeal is what one write costs beside the network.
func BenchmarkSeal(b *testing.B) {
	ring, record := benchRing(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal(ring, "0123456789abcdef0123456789abcdef", record); err != nil {
			b.Fatal(err)
		}
	}
}
