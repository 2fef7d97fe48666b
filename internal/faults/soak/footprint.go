package soak

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"example.com/payment/internal/faults"
)

// Footprint is what a process holds while nothing is under way.
type Footprint struct {
	Goroutines float64 `json:"goroutines"`
	HeapBytes  float64 `json:"heap_bytes"`
	Resident   float64 `json:"resident_bytes"`
	OpenFiles  float64 `json:"open_files"`
}

// What a process may hold more at the end than after its warm-up: a connection or two with their
// goroutines, and a heap that is a little larger. Resident memory is given back to the system
// late, so that it may be larger by a part of itself.
const (
	moreGoroutines = 16
	moreFiles      = 8
	moreHeap       = 8 << 20
	residentFactor = 1.5
	residentMore   = 32 << 20
)

// calm is how long a process may take to come back: idle connections are closed after 10 s, and
// the broker's client closes its own after minutes.
const calm = 3 * time.Minute

// measure waits for a garbage collection and reads the witness's footprint.
func (s *soak) measure(ctx context.Context) (f Footprint, err error) {
	if err := collect(ctx, s.witness); err != nil {
		return f, err
	}
	for name, to := range map[string]*float64{
		"go_goroutines": &f.Goroutines, "go_memstats_heap_alloc_bytes": &f.HeapBytes,
		"process_resident_memory_bytes": &f.Resident, "process_open_fds": &f.OpenFiles,
	} {
		if *to, err = s.witness.Metric(ctx, name); err != nil {
			return f, err
		}
	}
	if f.Goroutines == 0 || f.HeapBytes == 0 || f.OpenFiles == 0 {
		return f, fmt.Errorf("the consumer's metrics say nothing of its memory: %+v", f)
	}
	return f, nil
}

// collect makes the process collect its garbage: the heap's profile can ask for it.
func collect(ctx context.Context, c *faults.Consumer) error {
	_, status, err := c.Get(ctx, "/debug/pprof/heap?gc=1")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the heap's profile: status %d", status)
	}
	return err
}

// comeBack waits until the witness holds no more than after its warm-up (I11).
func (s *soak) comeBack(ctx context.Context) error {
	var above string
	err := faults.Until(ctx, "the consumer to give back what it took", calm, func() bool {
		now, err := s.measure(ctx)
		s.verdict.After = now
		above = s.verdict.Before.below(now)
		return err == nil && above == ""
	})
	s.rig.Say("before: %+v", s.verdict.Before)
	s.rig.Say("after:  %+v", s.verdict.After)
	if err != nil && ctx.Err() == nil {
		s.verdict.Violations++
		s.problem("I11 violated: %s", above)
	}
	return ctx.Err()
}

// below says what another footprint has too much.
func (f Footprint) below(now Footprint) string {
	for _, one := range []struct {
		what        string
		now, at, up float64
	}{
		{"goroutines", now.Goroutines, f.Goroutines, f.Goroutines + moreGoroutines},
		{"open files", now.OpenFiles, f.OpenFiles, f.OpenFiles + moreFiles},
		{"bytes of heap", now.HeapBytes, f.HeapBytes, f.HeapBytes + moreHeap},
		{"resident bytes", now.Resident, f.Resident, f.Resident*residentFactor + residentMore},
	} {
		if one.now > one.up {
			return fmt.Sprintf("%.0f %s, after the warm-up there were %.0f", one.now, one.what, one.at)
		}
	}
	return ""
}
