package idem

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff_Wait(t *testing.T) {
	t.Parallel()
	b := Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for failures, longest := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond,
		6: 3200 * time.Millisecond, 7: 5 * time.Second, 1000: 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			for range 100 {
				start := time.Now()
				if !b.Wait(t.Context(), failures) {
					t.Fatal("did not wait")
				}
				if took := time.Since(start); took < longest/2 || took > longest {
					t.Fatalf("waited %v after %d failures, want %v to %v",
						took, failures, longest/2, longest)
				}
			}
		})
	}
}

func TestBackoff_Wait_ContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if (Backoff{Min: time.Minute, Max: time.Minute}).Wait(ctx, 1) {
			t.Error("reported that there was time")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %v beyond the context", took-time.Second)
		}
	})
}
