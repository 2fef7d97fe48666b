// Package soak lets a nemesis disturb the service for as long as is asked for: it draws from a
// seed what to break next, while orders flow, and stops now and then to see that everything was
// decided once and that nothing leaks.
package soak

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/payment/internal/faults"
)

const (
	// consumers run at a time. One of them, the witness, is never killed: its memory is watched.
	consumers = 3
	// checkEvery is how long the nemesis works between two checks.
	checkEvery = time.Minute
)

// mix is the load while the nemesis works.
func mix() faults.Mix {
	return faults.Mix{PerSecond: 60, Repeat: 0.2, Alter: 0.01, Hostile: 0.01}
}

// soak is one run.
type soak struct {
	rig     *faults.Rig
	witness *faults.Consumer
	verdict *Verdict
}

// Verdict is the result of a soak.
type Verdict struct {
	faults.Verdict
	Duration string `json:"duration"`
	Rounds   int    `json:"rounds"`
	// Before is the witness after its warm-up, After is the same process at the end.
	Before Footprint `json:"before"`
	After  Footprint `json:"after"`
}

// Run soaks the service for a duration.
func Run(ctx context.Context, cfg faults.Config, duration time.Duration) (v Verdict, err error) {
	begin := time.Now()
	v = Verdict{Duration: duration.String()}
	v.Verdict = faults.NewVerdict(cfg.Seed)
	r, err := faults.Open(ctx, cfg)
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s := &soak{rig: r, verdict: &v}
	if err := s.warmUp(ctx); err != nil {
		return v, err
	}
	for ctx.Err() == nil && time.Since(begin) < duration {
		s.round(ctx, min(checkEvery, duration-time.Since(begin)))
	}
	if err := s.comeBack(ctx); err != nil {
		return v, err
	}
	v.Count(r)
	v.Seconds = time.Since(begin).Seconds()
	v.OK = ctx.Err() == nil && v.Violations == 0 && v.Invalid == 0
	return v, ctx.Err()
}

// warmUp brings pools, caches and buffers to the size that load alone gives them.
func (s *soak) warmUp(ctx context.Context) (err error) {
	if s.witness, err = s.rig.Start(ctx); err != nil {
		return err
	}
	if err := s.replace(); err != nil {
		return err
	}
	warm := mix()
	warm.Orders, warm.PerSecond = 2000, 0
	s.rig.Sender.Load(ctx, warm)
	if _, late, err := s.rig.Settle(ctx); err != nil || len(late) > 0 {
		return errors.Join(err, fmt.Errorf("warm-up: %v", late))
	}
	s.verdict.Before, err = s.measure(ctx)
	return err
}

// round is one stretch of disturbances and the check after it.
func (s *soak) round(ctx context.Context, length time.Duration) {
	number := s.verdict.Rounds + 1
	stop := s.rig.Sender.Background(ctx, mix())
	report := s.rig.Observe(ctx, faults.Case{
		ID: fmt.Sprintf("round %d", number), Title: "whatever the seed draws",
		Run: func(ctx context.Context, r *faults.Rig) error {
			defer stop()
			list := disturbances()
			var problems []error
			for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
				one := list[r.Random.IntN(len(list))]
				r.Journal.Plan("%s", one.name)
				if err := one.do(ctx, s); err != nil {
					problems = append(problems, fmt.Errorf("%s: %w", one.name, err))
				}
				if err := s.replace(); err != nil {
					problems = append(problems, err)
				}
				wait(ctx, s.moment()/4)
			}
			return errors.Join(problems...)
		},
	})
	s.verdict.Add(report)
	s.verdict.Rounds++
	report.Print(s.rig.Out)
	if !s.witness.Alive() {
		s.problem("the witness has ended by itself")
	}
}

func (s *soak) problem(format string, args ...any) {
	s.verdict.Invalid++
	s.verdict.Cases = append(s.verdict.Cases, faults.Report{
		Case: "soak", Problem: fmt.Sprintf(format, args...),
	})
	s.rig.Say(format, args...)
}
