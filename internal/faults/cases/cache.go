package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

func cache() []faults.Case {
	return []faults.Case{{
		ID: "F56", Title: "the cache is emptied again and again", Quick: true,
		Faults: []string{"flush"},
		Run: func(ctx context.Context, r *faults.Rig) error {
			return flushes(ctx, r, 5, 200*time.Millisecond)
		},
	}, {
		ID: "F56x", Title: "the same every two seconds, and for longer",
		Faults: []string{"flush"},
		Run: func(ctx context.Context, r *faults.Rig) error {
			return flushes(ctx, r, 20, 2*time.Second)
		},
	}, {
		ID: "F57", Title: "the cache says that unpaid orders are paid", Quick: true,
		Faults: []string{"forged value"}, Run: forgeries,
	}, {
		ID: "F59", Title: "the cache is full and evicts nothing",
		Faults: []string{"OOM"}, Run: fullCache,
	}, {
		ID: "F60", Title: "the cache refuses, asks for another password, loads, or holds other things",
		Faults: []string{
			"NOAUTH", "WRONGPASS", "READONLY", "LOADING", "WRONGTYPE", "oversized value",
		},
		Run: refusingCache,
	}}
}

// patientCacheEnv lets a lookup take long, so that one which fails has failed for what a case does
// to the cache, and not because the machine was busy.
const patientCacheEnv = "PAYMENT_REDIS_TIMEOUT_MS=5000"

// flushedOrders is how many orders are known to the cache before each flush.
const flushedOrders = 10

// flushes empties the cache under load, so many times and with a pause between. What it knew
// before is known by the database then, nothing is paid again, and the cache is in use all along.
func flushes(ctx context.Context, r *faults.Rig, times int, pause time.Duration) error {
	c, err := r.Start(ctx, patientCacheEnv)
	if err != nil {
		return err
	}
	stop := r.Sender.Background(ctx, faults.Mix{PerSecond: 100, Repeat: 0.3, Alter: 0.02})
	defer stop()
	for range times {
		orders := newOrders(r, flushedOrders)
		if err := warm(ctx, r, orders); err != nil {
			return err
		}
		keys, err := r.Redis.DBSize(ctx).Result()
		if err != nil {
			return err
		}
		if err := r.Stack.FlushCache(ctx); err != nil {
			return err
		}
		r.Journal.Fired("flush", "the server's answer")
		if keys < flushedOrders {
			return fmt.Errorf("the cache had %d keys before it was emptied", keys)
		}
		by, err := repeated(ctx, r, orders)
		if err != nil {
			return err
		}
		if by["database"] == 0 {
			return fmt.Errorf("after a flush, repeats were known by %v, and not by the database", by)
		}
		wait(ctx, pause)
	}
	if !c.Alive() || unready(ctx, c) || c.Says("cache degraded") {
		return errors.New("an empty cache was taken for one that does not work")
	}
	return nil
}

// repeated sends orders that are paid once more, and counts who knew that.
func repeated(
	ctx context.Context, r *faults.Rig, orders []order.Order,
) (by map[string]int, err error) {
	by = map[string]int{}
	messages := sendTogether(ctx, r, orders...)
	for _, m := range messages {
		got, err := firstAnswer(ctx, r, m)
		if err == nil && got.Outcome != order.Duplicate {
			err = fmt.Errorf("a repeat of a paid order was %s", got.Outcome)
		}
		if err != nil {
			return nil, err
		}
		by[got.DecidedBy]++
	}
	return by, nil
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// refusedCommands is how many commands of a kind the cache's server has refused to carry out: for
// the lack of memory or of a password, as a replica, while it loads.
func refusedCommands(ctx context.Context, r *faults.Rig, command string) (n int, err error) {
	info, err := r.Redis.InfoMap(ctx, "commandstats").Result()
	if err != nil {
		return 0, err
	}
	for item := range strings.SplitSeq(info["Commandstats"]["cmdstat_"+command], ",") {
		if number, found := strings.CutPrefix(item, "rejected_calls="); found {
			_, err = fmt.Sscan(number, &n)
		}
	}
	return n, err
}

// configure changes settings of the cache's server, in this order, and returns what changes them
// back in the opposite one.
func configure(
	ctx context.Context, r *faults.Rig, settings ...[2]string,
) (restore func() error, err error) {
	var before [][2]string
	restore = func() error {
		var problems []error
		for n := len(before) - 1; n >= 0; n-- {
			problems = append(problems, r.Redis.ConfigSet(context.WithoutCancel(ctx),
				before[n][0], before[n][1]).Err())
		}
		return errors.Join(problems...)
	}
	for _, one := range settings {
		was, err := r.Redis.ConfigGet(ctx, one[0]).Result()
		if err != nil {
			return nil, errors.Join(err, restore())
		}
		before = append(before, [2]string{one[0], was[one[0]]})
		if err := r.Redis.ConfigSet(ctx, one[0], one[1]).Err(); err != nil {
			return nil, errors.Join(err, restore())
		}
	}
	return restore, nil
}
