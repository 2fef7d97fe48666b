package cases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
)

// cacheRefusal is a cache that does not do what it is asked.
type cacheRefusal struct {
	// code is the first word of what the server says, command what it says it to, as far as the
	// server counts that. Nobody but the consumers gives the commands that are named here.
	code, command string
	begin         func(context.Context, *faults.Rig) (end func() error, err error)
}

// The commands with which consumers look answers up and write them.
const (
	lookUp  = "getrange"
	writing = "set"
)

// fullCache lets the cache take nothing more.
func fullCache(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx, patientCacheEnv)
	if err != nil {
		return err
	}
	return cacheRefusal{"OOM", writing, leaveNoMemory}.meet(ctx, r, c)
}

// refusingCache meets each other way in which a server can refuse, and then values that are none.
// A consumer without a password comes first: it never gets in.
func refusingCache(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx, patientCacheEnv, "PAYMENT_REDIS_PASSWORD=")
	if err != nil {
		return err
	}
	if err := (cacheRefusal{code: "NOAUTH", command: lookUp}).met(ctx, r, c); err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	if c, err = r.Start(ctx, patientCacheEnv); err != nil {
		return err
	}
	for _, refusal := range []cacheRefusal{
		{"WRONGPASS", "", changePassword}, {"READONLY", writing, makeReplica},
		{"LOADING", lookUp, loadSlowly},
	} {
		if err := refusal.meet(ctx, r, c); err != nil {
			return fmt.Errorf("%s: %w", refusal.code, err)
		}
	}
	return otherValues(ctx, r, c)
}

// meet lets orders be paid while the cache refuses, and wants it to be used again afterwards. What
// it knew before, it still says if it only takes nothing; else the database says it.
func (f cacheRefusal) meet(ctx context.Context, r *faults.Rig, c *faults.Consumer) (err error) {
	known := newOrders(r, flushedOrders)
	if err := warm(ctx, r, known); err != nil {
		return err
	}
	end, err := f.begin(ctx, r)
	if err != nil {
		return err
	}
	end = sync.OnceValue(end)
	defer func() { err = errors.Join(err, end()) }()
	if err := f.met(ctx, r, c); err != nil {
		return err
	}
	by, err := repeated(ctx, r, known)
	if err != nil {
		return err
	}
	if answers := by["cache"] > 0; answers != (f.command == writing) {
		return fmt.Errorf("repeats of what the cache had known were known by %v", by)
	}
	if err := end(); err != nil {
		return err
	}
	return cacheInUse(ctx, r, c)
}

// met sends orders until the consumer has been refused and its log says why. All of them are
// answered meanwhile, and the consumer is ready: it does not need the cache.
func (f cacheRefusal) met(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	refused := func() (int, error) {
		if f.command == "" {
			return 1, nil
		}
		return refusedCommands(ctx, r, f.command)
	}
	before, err := refused()
	if err != nil {
		return err
	}
	for said := false; !said; said = c.Says("(" + f.code + ")") {
		if err := paidMeanwhile(ctx, r, "orders while the cache says "+f.code); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("the log does not say %s: %w", f.code, err)
		}
	}
	after, err := refused()
	switch {
	case err != nil:
		return err
	case f.command != "" && after == before:
		return fmt.Errorf("the server has refused no %s", f.command)
	case !c.Ready(ctx):
		return errors.New("the consumer is not ready although only the cache refuses")
	case f.command == "":
		r.Journal.Fired(f.code, "the consumer's log")
	default:
		r.Journal.FiredTimes(f.code, after-before, "the server's count of refused commands")
	}
	return nil
}

// leaveNoMemory makes the server full as it is: it may evict nothing to make room.
func leaveNoMemory(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	return configure(ctx, r, [2]string{"maxmemory-policy", "noeviction"},
		[2]string{"maxmemory", "1"})
}

// changePassword gives the server another password, and ends the sessions that began with the
// old one. The rig's own goes on.
func changePassword(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	end, err = configure(ctx, r, [2]string{"requirepass", strings.Repeat("another", 5)})
	if err == nil {
		r.Cache.CutAll()
	}
	return end, err
}

// makeReplica makes the server the replica of one that is not there: it answers, and takes
// nothing from anybody else.
func makeReplica(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	host, port, _ := strings.Cut(nobody, ":")
	return func() error {
		return r.Redis.ReplicaOf(context.WithoutCancel(ctx), "NO", "ONE").Err()
	}, r.Redis.ReplicaOf(ctx, host, port).Err()
}

// loadedKeys is how many keys a server loads that takes 20 ms for each: it loads for longer than
// any case takes, until it is told to be quick.
const loadedKeys = 10_000

// loadSlowly restarts the server with so much to load that it loads until the end. It answers
// meanwhile, that it loads.
func loadSlowly(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	quick, err := configure(ctx, r, [2]string{"loading-process-events-interval-bytes", "1024"},
		[2]string{"rdbcompression", "no"}, [2]string{"key-load-delay", "20000"})
	if err != nil {
		return nil, err
	}
	end = func() error {
		ctx := context.WithoutCancel(ctx)
		loaded := func() bool {
			info, err := r.Redis.InfoMap(ctx, "persistence").Result()
			return err == nil && info["Persistence"]["loading"] == "0"
		}
		return errors.Join(quick(), faults.Until(ctx, "the cache to be loaded", soon, loaded),
			r.Redis.ConfigRewrite(ctx).Err(), r.Redis.FlushAll(ctx).Err(),
			os.Remove(filepath.Join(r.Stack.Data(), "redis", "dump.rdb")))
	}
	pipe := r.Redis.Pipeline()
	for n := range loadedKeys {
		pipe.Set(ctx, fmt.Sprint("ballast:", n), strings.Repeat("x", 1024), forgeryLife)
	}
	if _, err = pipe.Exec(ctx); err == nil {
		err = errors.Join(r.Redis.Save(ctx).Err(), r.Redis.ConfigRewrite(ctx).Err(),
			r.Stack.Restart(ctx, devstack.Redis))
	}
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// valueSize is the size of a value that is no answer of the service, in bytes.
const valueSize = 64 * mebibyte

// otherValues puts what is not of the service's making under the keys of orders that nobody has
// paid: a list, and a value that is a thousand times too large. Both are misses and no failures,
// and the large one does not get into the consumer's memory.
func otherValues(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	f := forger{Rig: r}
	const failures = `result="error"`
	failed, err := metric(ctx, c, "payment_cache_lookups_total", failures)
	if err != nil {
		return err
	}
	resident, err := metric(ctx, c, "process_resident_memory_bytes")
	if err != nil {
		return err
	}
	for kind, put := range map[string]func(key string) error{
		"WRONGTYPE": func(key string) error {
			pipe := r.Redis.TxPipeline()
			pipe.RPush(ctx, key, "paid")
			pipe.Expire(ctx, key, forgeryLife)
			_, err := pipe.Exec(ctx)
			return err
		},
		"oversized value": func(key string) error {
			pipe := r.Redis.TxPipeline()
			pipe.SetRange(ctx, key, valueSize-1, "x")
			pipe.Expire(ctx, key, forgeryLife)
			_, err := pipe.Exec(ctx)
			return err
		},
	} {
		orders := newOrders(r, 2)
		for _, o := range orders {
			if err := put(keyPrefix + string(o.Serial)); err != nil {
				return err
			}
		}
		if err := f.unbelieved(ctx, c, orders); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		r.Journal.FiredTimes(kind, len(orders), "the consumer's count of values that are none")
	}
	now, err := metric(ctx, c, "payment_cache_lookups_total", failures)
	if err == nil && now > failed {
		err = fmt.Errorf("%.0f lookups failed for a value", now-failed)
	}
	if err != nil {
		return err
	}
	grown, err := metric(ctx, c, "process_resident_memory_bytes")
	if grown -= resident; err == nil && grown > valueSize {
		err = fmt.Errorf("the consumer grew by %.0f MiB for a value of %d MiB", grown/mebibyte,
			valueSize/mebibyte)
	}
	return err
}
