package cases

import (
	"context"
	"fmt"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
)

// crashesPerPoint times the number of points is what the suite promises in kills.
const crashesPerPoint = 28

func crashes() []faults.Case {
	return []faults.Case{{
		ID: "F1", Title: "a consumer is killed at each point of a message's way",
		Quick: true, Faults: []string{"kill"},
		Run: func(ctx context.Context, r *faults.Rig) error { return killAtPoints(ctx, r, 1) },
	}, {
		ID: "F1x", Title: "the same, many times and under load",
		Faults: []string{"kill"},
		Run: func(ctx context.Context, r *faults.Rig) error {
			return killAtPoints(ctx, r, crashesPerPoint)
		},
	}}
}

// killAtPoints kills a consumer at each point in turn, at a hit that the seed chooses. Two are
// at work at a time, at different points, so that one is killed while the other starts.
func killAtPoints(ctx context.Context, r *faults.Rig, times int) error {
	points := failpoint.Points()
	stop := r.Sender.Background(ctx, faults.Mix{
		PerSecond: 100, Repeat: 0.2, Alter: 0.05, Hostile: 0.02,
	})
	defer stop()
	for n := range times * len(points) {
		point := points[n%len(points)]
		hit := 1 + r.Random.IntN(3)
		r.Journal.Plan("kill -9 at hit %d of %s", hit, point)
		c, err := r.Failing(point, fmt.Sprintf("kill@%d", hit))
		if err != nil {
			return err
		}
		if err := c.AwaitKilled(ctx, point); err != nil {
			return err
		}
	}
	return nil
}
