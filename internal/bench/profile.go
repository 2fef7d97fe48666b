package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// profile begins to take the CPU profile of a consumer that serves one, when that is asked for. The
// returned function waits for the profile and keeps it.
func (r *rig) profile(ctx context.Context, s *subject, lane Lane) (done func() error) {
	if !r.Profile || lane.Variant == VariantDrop {
		return func() error { return nil }
	}
	finished := make(chan error, 1)
	go func() {
		finished <- s.keepProfile(ctx, r.Plan.Time, filepath.Join(r.folder,
			fmt.Sprintf("%s-%s.pprof", lane.Workload, lane.Variant)))
	}()
	return func() error { return <-finished }
}

// keepProfile waits until the consumer works, and writes its profile.
func (s *subject) keepProfile(ctx context.Context, limit time.Duration, path string) error {
	for begin := time.Now(); ; time.Sleep(sampleEvery) {
		if c, err := s.counts(ctx); err == nil && c.total() > 0 {
			break
		}
		if time.Since(begin) > startLimit || ctx.Err() != nil {
			return errors.New("there was nothing to profile")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	seconds := max(1, int(limit.Seconds())-1)
	text, _, err := s.Get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
