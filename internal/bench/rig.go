package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/rocketmq"
)

// Config says where a measurement takes place.
type Config struct {
	// Home is devstack's folder, Root that of the sources, and Self the program that has the
	// commands "exhibit" and "bench-drop".
	Home, Root, Self string
	// Folder gets the programs and their logs.
	Folder string
	Plan   Plan
	// More are further programs to run, by their name as a variant: other builds of the service.
	More map[string]string
	// Profile makes the service's CPU profile of each run, into Folder.
	Profile bool
	// Out is told what happens, a line each.
	Out io.Writer
	// Progress is told of the servers' start.
	Progress func(devstack.Event)
}

// sendTimeout is long: what is late at the higher rates of a slow machine is late, and not lost.
const sendTimeout = 30 * time.Second

// rig is the servers, and what it takes to measure on them. One measurement is made at a time.
type rig struct {
	Config
	folder   string
	stack    *devstack.Stack
	admin    *rocketmq.Admin
	producer *rocketmq.Producer
	// collector takes the spans of the traced service.
	collector *collector
	programs  programs
	launched  int
	filled    int
}

// open starts the servers and builds the programs. Close ends the servers.
func open(ctx context.Context, cfg Config) (r *rig, err error) {
	r = &rig{Config: cfg}
	if r.folder, err = filepath.Abs(cfg.Folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return nil, err
	}
	begin := time.Now()
	if r.programs, err = build(ctx, cfg.Root, r.folder, cfg.Self); err != nil {
		return nil, err
	}
	for name, path := range cfg.More {
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		r.programs[Variant(name)] = []string{path}
	}
	r.say("programs built in %.0f s", time.Since(begin).Seconds())
	if r.stack, err = devstack.Start(ctx, devstack.Options{
		Home: cfg.Home, Progress: cfg.Progress, MySQL: databaseSettings(),
	}); err != nil {
		return nil, err
	}
	if err := r.connect(ctx); err != nil {
		return nil, errors.Join(err, r.close(ctx))
	}
	return r, nil
}

func (r *rig) connect(ctx context.Context) (err error) {
	if r.collector, err = newCollector(); err != nil {
		return err
	}
	nameServers := []string{r.stack.Address(devstack.NameServer)}
	if r.admin, err = rocketmq.NewAdmin(nameServers, "", ""); err != nil {
		return err
	}
	if r.producer, err = rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: nameServers, Group: "bench", SendTimeout: sendTimeout,
	}, zap.NewNop()); err != nil {
		return err
	}
	for _, name := range []string{emptyDatabase, paidDatabase, largeDatabase} {
		if err := r.makeDatabase(ctx, name); err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
	}
	return nil
}

func (r *rig) close(ctx context.Context) error {
	var problems []error
	if r.producer != nil {
		problems = append(problems, r.producer.Close())
	}
	if r.collector != nil {
		problems = append(problems, r.collector.Close())
	}
	return errors.Join(append(problems, r.stack.Close(ctx))...)
}

func (r *rig) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Out, "  "+format+"\n", args...)
}

// The topics that several runs read.
const (
	newTopic     = "BENCH_NEW"
	hotTopic     = "BENCH_HOT"
	mixedTopic   = "BENCH_MIXED"
	repeatsTopic = "BENCH_REPEATS"
)

// Prefixes of the cache's keys. What begins with the first is removed between runs.
const (
	coldPrefix = "payment:"
	warmPrefix = "bench-warm:"
)

// prepare fills the topics and the large table.
func (r *rig) prepare(ctx context.Context) error {
	p := r.Plan
	for _, t := range []struct {
		mix  mix
		when bool
	}{
		{mix{topic: newTopic, name: "new", count: p.Backlog}, p.needs(WorkloadNew)},
		{mix{topic: hotTopic, name: "hot", count: p.Hot, hot: true}, p.needs(WorkloadHot)},
		{mix{topic: mixedTopic, name: "mixed", count: p.Hot, repeats: 0.3}, p.needs(WorkloadMixed)},
		{mix{topic: repeatsTopic, name: "repeats", count: p.Repeats},
			p.needs(WorkloadWarm, WorkloadCold)},
	} {
		if !t.when {
			continue
		}
		begin := time.Now()
		if err := r.fill(ctx, t.mix); err != nil {
			return err
		}
		r.say("%-14s %9d messages in %.0f s", t.mix.topic, t.mix.count, time.Since(begin).Seconds())
	}
	if !p.needs(WorkloadRows) {
		return nil
	}
	begin := time.Now()
	if err := r.fillTables(ctx, 0, existingRows); err != nil {
		return err
	}
	r.say("%-14s %9d payments in %.0f s", largeDatabase, existingRows, time.Since(begin).Seconds())
	return nil
}

// setUp brings topic, database and cache to where a lane's run begins.
func (r *rig) setUp(ctx context.Context, lane Lane) (scene, error) {
	switch lane.Workload {
	case WorkloadNew:
		return r.empty(ctx, newTopic)
	case WorkloadHot:
		return r.empty(ctx, hotTopic)
	case WorkloadMixed:
		return r.empty(ctx, mixedTopic)
	case WorkloadWarm:
		return scene{topic: repeatsTopic, database: paidDatabase, cachePrefix: warmPrefix}, nil
	case WorkloadCold:
		return scene{topic: repeatsTopic, database: paidDatabase, cachePrefix: coldPrefix},
			r.stack.FlushCache(ctx)
	case WorkloadRows:
		return r.large(ctx, r.messages(lane))
	default:
		return scene{}, fmt.Errorf("there is no workload %q", lane.Workload)
	}
}

// large is where orders are paid into the large table. They were never seen: to remove the last
// run's from the table would cost more.
func (r *rig) large(ctx context.Context, orders int) (scene, error) {
	r.filled++
	m := mix{
		topic: fmt.Sprintf("BENCH_ROWS_%d", r.filled), name: fmt.Sprintf("rows%d", r.filled),
		count: orders,
	}
	return scene{topic: m.topic, database: largeDatabase, cachePrefix: coldPrefix},
		errors.Join(r.fill(ctx, m), r.stack.FlushCache(ctx))
}

func (r *rig) empty(ctx context.Context, topic string) (scene, error) {
	return scene{topic: topic, database: emptyDatabase, cachePrefix: coldPrefix},
		errors.Join(r.emptyTables(ctx, emptyDatabase), r.stack.FlushCache(ctx))
}

// messages is how many messages a run of the lane can read.
func (r *rig) messages(lane Lane) int {
	switch lane.Workload {
	case WorkloadNew:
		return r.Plan.Backlog
	case WorkloadWarm, WorkloadCold:
		return r.Plan.Repeats
	case WorkloadRows:
		if lane.Variant == VariantTextbook {
			return r.Plan.Rows / 5
		}
		return r.Plan.Rows
	case WorkloadHot, WorkloadMixed:
	}
	return r.Plan.Hot
}
