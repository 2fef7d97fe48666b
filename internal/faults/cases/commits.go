package cases

import (
	"context"
	"fmt"
	"time"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
)

// paymentCommit is the COMMIT of a transaction that decides payments.
func paymentCommit() mysqlproxy.Match { return mysqlproxy.CommitAfter("INSERT INTO payments") }

func commits() []faults.Case {
	one := func(
		id, title string, quick bool, fate mysqlproxy.Fate, kind string, cuts int,
	) faults.Case {
		return faults.Case{
			ID: id, Title: title, Quick: quick, Faults: []string{kind},
			Run: func(ctx context.Context, r *faults.Rig) error {
				return cutCommits(ctx, r, fate, kind, cuts)
			},
		}
	}
	return []faults.Case{
		one("F21", "the connection breaks before COMMIT reaches the server", true,
			mysqlproxy.CutBefore(), "cut before COMMIT", 20),
		one("F22", "the connection breaks after COMMIT, before its answer", true,
			mysqlproxy.CutAfter(), "cut after COMMIT", 20),
		one("F21x", "the same as F21, many times", false,
			mysqlproxy.CutBefore(), "cut before COMMIT", 500),
		one("F22x", "the same as F22, many times", false,
			mysqlproxy.CutAfter(), "cut after COMMIT", 500),
	}
}

// cutCommits breaks every second COMMIT of payments until so many are cut.
func cutCommits(
	ctx context.Context, r *faults.Rig, fate mysqlproxy.Fate, kind string, cuts int,
) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	broken := r.Database.Add(paymentCommit(), fate, rule.Every(2))
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 100, Repeat: 0.2, Alter: 0.01})
	defer stop()
	err := faults.Until(ctx, fmt.Sprint(cuts, " broken commits"), 8*time.Minute, func() bool {
		return broken.Fired() >= cuts
	})
	broken.Remove()
	r.Journal.FiredTimes(kind, broken.Fired(), "the proxy")
	return err
}
