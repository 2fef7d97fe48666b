package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/payment/internal/devstack"
)

// How often a run's count is read, and how long nothing may happen.
const (
	sampleEvery = 200 * time.Millisecond
	startLimit  = time.Minute
	stallLimit  = 30 * time.Second
)

// Run is one run of throughput.
type Run struct {
	// PerSecond is the throughput, in messages.
	PerSecond float64 `json:"per_second"`
	Messages  int     `json:"messages"`
	Seconds   float64 `json:"seconds"`
	// Usage is what each process has used meanwhile.
	Usage map[string]Usage `json:"usage"`
}

// sample is a reading of everything at one moment.
type sample struct {
	at     time.Time
	counts counts
	usage  map[string]Usage
}

// measure makes one run of a lane.
func (r *rig) measure(ctx context.Context, lane Lane) (run Run, err error) {
	at, err := r.setUp(ctx, lane)
	if err != nil {
		return run, err
	}
	s, err := r.launch(lane.Variant, at)
	if err != nil {
		return run, err
	}
	// It is killed: what it has not finished is measured by nobody, and its group ends with it.
	defer func() { err = errors.Join(err, s.Kill()) }()
	profiled := r.profile(ctx, s, lane)
	first, last, err := r.follow(ctx, crew{s}, r.messages(lane), r.Plan.Time)
	if err = errors.Join(err, profiled()); err != nil {
		return run, fmt.Errorf("%s:%s: %w", lane.Workload, lane.Variant, err)
	}
	if err := expected(lane, last.counts); err != nil {
		return run, fmt.Errorf("%s:%s: %w", lane.Workload, lane.Variant, err)
	}
	if run, err = newRun(first, last); err != nil {
		return run, fmt.Errorf("%s:%s: %w", lane.Workload, lane.Variant, err)
	}
	return run, nil
}

// newRun is what happened between two samples.
func newRun(first, last sample) (Run, error) {
	if !last.at.After(first.at) {
		// It would pass for a measurement: 0/0 is no number, and not below any limit.
		return Run{}, fmt.Errorf("all %d messages were handled when work was first seen: "+
			"nothing is measured of so few", last.counts.total())
	}
	run := Run{
		Messages: last.counts.total() - first.counts.total(),
		Seconds:  last.at.Sub(first.at).Seconds(), Usage: map[string]Usage{},
	}
	run.PerSecond = float64(run.Messages) / run.Seconds
	for name, usage := range last.usage {
		run.Usage[name] = usage.since(first.usage[name])
	}
	return run, nil
}

// work lets a program handle messages until all are done or the time is over, and kills it.
func (r *rig) work(
	ctx context.Context, v Variant, at scene, messages int, limit time.Duration,
) (first, last sample, err error) {
	s, err := r.launch(v, at)
	if err != nil {
		return first, last, err
	}
	defer func() { err = errors.Join(err, s.Kill()) }()
	return r.follow(ctx, crew{s}, messages, limit)
}

// follow reads the counts until all messages are handled or the time is over. The first sample is
// the one in which work is first seen.
func (r *rig) follow(
	ctx context.Context, c crew, messages int, limit time.Duration,
) (first, last sample, err error) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	moved := time.Now()
	for {
		select {
		case <-ctx.Done():
			return first, last, ctx.Err()
		case <-ticker.C:
		}
		if err := c.alive(); err != nil {
			return first, last, err
		}
		now, err := c.counts(ctx)
		if err == nil && now.total() > last.counts.total() {
			moved = time.Now()
			last = sample{at: moved, counts: now}
		}
		switch {
		case first.counts == nil && last.counts != nil:
			last.usage = r.usage(c)
			first = last
		case first.counts == nil && time.Since(moved) > startLimit:
			return first, last, errors.Join(errors.New("it does not begin"), err)
		case first.counts == nil:
		case last.counts.total() >= messages || last.at.Sub(first.at) >= limit:
			last.usage = r.usage(c)
			return first, last, nil
		case time.Since(moved) > stallLimit:
			return first, last, fmt.Errorf("it stands still at %d of %d messages",
				last.counts.total(), messages)
		}
	}
}

// The processes by their names in the result.
const ours = "consumer"

// usage reads what all processes have used; of several consumers, the first. What cannot be read
// is left out.
func (r *rig) usage(c crew) map[string]Usage {
	pids := map[string]int{
		ours: c[0].PID(), "broker": r.stack.PID(devstack.Broker),
		"name-server": r.stack.PID(devstack.NameServer), "database": r.stack.PID(devstack.MySQL),
		"cache": r.stack.PID(devstack.Redis),
	}
	all := map[string]Usage{}
	for name, pid := range pids {
		if usage, err := usageOf(pid); err == nil && usage != (Usage{}) {
			all[name] = usage
		}
	}
	return all
}

// expected checks that a run did what its lane is about: a program that declines or retries is
// fast for another reason.
func expected(lane Lane, c counts) error {
	want := map[Workload][]string{
		WorkloadNew: {"paid"}, WorkloadHot: {"paid"}, WorkloadRows: {"paid"},
		WorkloadWarm: {"duplicate"}, WorkloadCold: {"duplicate"},
		WorkloadMixed: {"paid", "duplicate"},
	}[lane.Workload]
	if lane.Variant == VariantDrop {
		want = []string{"dropped"}
	}
	return only(c, want...)
}

// only fails if there is another outcome than these.
func only(c counts, want ...string) error {
	for _, outcome := range slices.Sorted(maps.Keys(c)) {
		if !slices.Contains(want, outcome) {
			return fmt.Errorf("%d of %d messages were %q, want only %q", c[outcome], c.total(), outcome,
				want)
		}
	}
	return nil
}
