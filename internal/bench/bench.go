package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// closeLimit is how long the servers may take to end.
const closeLimit = time.Minute

// Measure makes all measurements of the plan, which takes minutes.
func Measure(ctx context.Context, cfg Config) (result Result, err error) {
	result = newResult(cfg.Plan)
	begin := time.Now()
	r, err := open(ctx, cfg)
	if err != nil {
		return result, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		err = errors.Join(err, r.close(end))
	}()
	result.Machine = r.machine(ctx)
	if err := r.prepare(ctx); err != nil {
		return result, err
	}
	if err := r.warmUp(ctx); err != nil {
		return result, err
	}
	if err := r.compare(ctx, cfg.Plan.lanes(newOrders()), &result); err != nil {
		return result, err
	}
	if cfg.Plan.needs(WorkloadWarm, WorkloadCold) {
		if err := r.payRepeats(ctx); err != nil {
			return result, err
		}
	}
	if err := r.compare(ctx, cfg.Plan.lanes(repeats()), &result); err != nil {
		return result, err
	}
	if len(cfg.Plan.Only) > 0 {
		result.Seconds = time.Since(begin).Seconds()
		result.concludeLanes()
		return result, nil
	}
	if err := r.latencies(ctx, &result); err != nil {
		return result, err
	}
	if result.Backlog, err = r.backlog(ctx); err != nil {
		return result, err
	}
	result.Seconds = time.Since(begin).Seconds()
	return result, result.conclude()
}

// warmUp lets the broker work for runs that nobody counts. It is a Java program, which compiles its
// code while it works, and would take a third of a core for that during whatever runs first.
func (r *rig) warmUp(ctx context.Context) error {
	if !r.Plan.needs(WorkloadNew) {
		return nil
	}
	for _, v := range []Variant{VariantDrop, VariantService} {
		at, err := r.empty(ctx, newTopic)
		if err != nil {
			return err
		}
		if _, _, err = r.work(ctx, v, at, r.Plan.Backlog, r.Plan.WarmUp); err != nil {
			return fmt.Errorf("warm up with %s: %w", v, err)
		}
	}
	return nil
}

// compare runs lanes in turns, A B C A B C.
func (r *rig) compare(ctx context.Context, lanes []Lane, result *Result) error {
	for round := range r.Plan.Rounds {
		for _, lane := range lanes {
			if r.Plan.Quick && lane.Side && round > 0 {
				continue
			}
			run, err := r.measure(ctx, lane)
			if err != nil {
				return err
			}
			result.add(lane, run)
			r.say("%d/%d  %-9s %-18s %9.0f/s  (%d in %.1f s)", round+1, r.Plan.Rounds, lane.Workload,
				lane.Variant, run.PerSecond, run.Messages, run.Seconds)
		}
	}
	return nil
}

// payRepeats pays every order of the topic that is then repeated, and fills the cache.
func (r *rig) payRepeats(ctx context.Context) error {
	begin := time.Now()
	at := scene{topic: repeatsTopic, database: paidDatabase, cachePrefix: warmPrefix}
	_, last, err := r.work(ctx, VariantNoResults, at, r.Plan.Repeats, 10*time.Minute)
	if err != nil {
		return fmt.Errorf("pay what is then repeated: %w", err)
	}
	r.say("%-14s %9d orders paid in %.0f s", repeatsTopic, last.counts["paid"],
		time.Since(begin).Seconds())
	return nil
}

// Backlog is what the consumer holds while a long backlog waits.
type Backlog struct {
	Messages  int     `json:"messages"`
	Handled   int     `json:"handled"`
	Seconds   float64 `json:"seconds"`
	PeakBytes int64   `json:"peak_memory_bytes"`
}

// backlog lets the service work on the whole topic of new orders, and looks at its memory.
func (r *rig) backlog(ctx context.Context) (b Backlog, err error) {
	at, err := r.empty(ctx, newTopic)
	if err != nil {
		return b, err
	}
	first, last, err := r.work(ctx, VariantService, at, r.Plan.Backlog, r.Plan.Memory)
	if err != nil {
		return b, fmt.Errorf("backlog: %w", err)
	}
	if err := only(last.counts, "paid"); err != nil {
		return b, fmt.Errorf("backlog: %w", err)
	}
	b = Backlog{
		Messages: r.Plan.Backlog, Handled: last.counts.total(),
		Seconds: last.at.Sub(first.at).Seconds(), PeakBytes: last.usage[ours].PeakBytes,
	}
	r.say("backlog: %d of %d in %.0f s, at most %d MiB", b.Handled, b.Messages, b.Seconds,
		b.PeakBytes>>20)
	return b, nil
}
