package order_test

import (
	"testing"

	"example.com/payment/internal/order"
)

func BenchmarkDecode(b *testing.B) {
	for name, body := range map[string]string{
		"Ordinary": golden,
		"Unknown":  plus(`"channel":"app","tags":["a","b"],"trace":{"id":"0af7651916cd43dd","n":7}`),
	} {
		b.Run(name, func(b *testing.B) {
			data, limits := []byte(body), order.DefaultLimits()
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := order.Decode("ORDERID_100", data, limits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFingerprint(b *testing.B) {
	o := sample()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := o.Fingerprint(order.FingerprintVersion); !ok {
			b.Fatal("unknown version")
		}
	}
}
