package idem_test

import (
	"context"
	"testing"

	"example.com/payment/internal/idem"
)

// BenchmarkBatcher_Do is what a call costs beside the work of its batch.
func BenchmarkBatcher_Do(b *testing.B) {
	batcher := idem.NewBatcher(idem.BatcherOptions{Max: 400, Workers: 2, Waiting: 1024},
		func(_ context.Context, in []int) []idem.Decision[string] {
			return make([]idem.Decision[string], len(in))
		})
	defer batcher.Close()
	b.ReportAllocs()
	b.SetParallelism(256)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := batcher.Do(b.Context(), 1); err != nil {
				b.Error(err)
			}
		}
	})
}
