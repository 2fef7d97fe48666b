package cases

import (
	"context"
	"fmt"
	"time"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
)

// paymentCommit is the COMMIT of a transaction that decides payments, whatever program it is of:
// no other writes amounts.
func paymentCommit() mysqlproxy.Match { return mysqlproxy.CommitAfter("amount_minor") }

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
		{
			ID: "F22s", Title: "connections go silent after COMMIT, and nobody learns that they are dead",
			Faults: []string{"silent after COMMIT"}, Run: silenceCommits,
		},
	}
}

// silenceCommits lets the server carry out a COMMIT of each committer whose answer never comes and
// whose connection never ends, as when something on the way has forgotten it. Only the
// consumer's own limit on reading can tell, and orders go on being paid on new connections.
func silenceCommits(ctx context.Context, r *faults.Rig) error {
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	held := r.Database.Add(paymentCommit(), mysqlproxy.Hold(), rule.Always())
	defer held.Release()
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 50, Repeat: 0.2, Alter: 0.02})
	defer stop()
	if err := faults.Until(ctx, "commits under way", trafficLimit, func() bool {
		return held.Fired() >= committers
	}); err != nil {
		return err
	}
	if err := r.DatabaseLink.Strand(); err != nil {
		return err
	}
	held.Remove()
	held.Release()
	if err := paidMeanwhile(ctx, r, "orders past silent connections"); err != nil {
		return err
	}
	r.Journal.FiredTimes("silent after COMMIT", held.Fired(), "the proxy, before the link")
	return nil
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
