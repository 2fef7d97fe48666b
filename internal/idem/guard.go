package idem

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Options bound a Guard. Zero values take the defaults.
type Options struct {
	BatchMax   int // requests in one batch; default 400
	Committers int // batches under way at once; default 2
	Waiting    int // requests that wait for a committer; default 1024
	// Rounds is how often a batch that lost a race for one of its keys goes back to step 2;
	// default 10. Every lost race is somebody else's commit, so it ends by itself.
	Rounds int
	// Timeout bounds one batch through all steps; default 30 s.
	Timeout time.Duration
	// Observe, if set, is told of each batch. It is called by the committers, several at once.
	Observe func(Batch)
	// Begin, if set, is called before each batch, with the contexts of all whose requests are in
	// it: a batch belongs to none of them. Its steps get the context that Begin returns, which
	// must descend from the given one, and end is called when it is decided. It is for tracing.
	Begin func(ctx context.Context, callers []context.Context) (_ context.Context, end func(Batch))
}

// Batch reports what one batch cost.
type Batch struct {
	Size  int
	Steps Steps
	// CacheHits of CacheLookups keys were answered by step 1.
	CacheLookups, CacheHits int
	// Commits is how often the store was asked to commit, Races how many of them lost a key.
	Commits, Races int
	// CacheErr is the last failure of the cache. It changed nothing but the cost.
	CacheErr error
	// Committed reports whether any request was decided by this batch's own transaction.
	Committed bool
}

// Guard answers each request exactly once, however often and wherever it is delivered. See the
// package documentation for the three steps and what they promise.
//
// A Guard owns its committers' goroutines, from New until Close.
type Guard[T, R any] struct {
	store   Store[T, R]
	cache   Cache[R]
	opts    Options
	batcher *Batcher[arrival[T], Decision[R]]
}

type arrival[T any] struct {
	req Request[T]
	at  time.Time
	ctx context.Context // of the caller, for Options.Begin only
}

// New returns a Guard over a store and a cache and starts its committers.
func New[T, R any](store Store[T, R], cache Cache[R], opts Options) *Guard[T, R] {
	opts = opts.withDefaults()
	g := &Guard[T, R]{store: store, cache: cache, opts: opts}
	g.batcher = NewBatcher(
		BatcherOptions{Max: opts.BatchMax, Workers: opts.Committers, Waiting: opts.Waiting},
		g.decide,
	)
	return g
}

func (o Options) withDefaults() Options {
	set := func(v *int, fallback int) {
		if *v <= 0 {
			*v = fallback
		}
	}
	set(&o.BatchMax, 400)
	set(&o.Committers, 2)
	set(&o.Waiting, 1024)
	set(&o.Rounds, 10)
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(Batch) {}
	}
	return o
}

// Process decides one delivery of a request, in one batch with whatever else is waiting. It
// blocks until the decision is made or ctx ends; a Retry whose Err is the context's error says
// nothing about whether the request was decided. It is safe for concurrent use, and nearly all
// of its speed comes from being called by many at once.
func (g *Guard[T, R]) Process(ctx context.Context, req Request[T]) Decision[R] {
	decision, err := g.batcher.Do(ctx, arrival[T]{req: req, at: time.Now(), ctx: ctx})
	if err != nil {
		return Decision[R]{Verdict: Retry, Err: err}
	}
	return decision
}

// Waiting returns how many requests no committer has taken yet.
func (g *Guard[T, R]) Waiting() int { return g.batcher.Waiting() }

// Close lets the requests that are waiting finish and stops the committers.
func (g *Guard[T, R]) Close() { g.batcher.Close() }

// decide takes one batch through the three steps.
//
// A crash before the commit inside step 3 leaves nothing, and the delivery comes again. A crash
// after it leaves the record, and the delivery that comes again is a duplicate. The cache is
// written last, so that it never knows more than the store.
func (g *Guard[T, R]) decide(ctx context.Context, arrivals []arrival[T]) []Decision[R] {
	ctx, cancel := context.WithTimeout(ctx, g.opts.Timeout)
	defer cancel()
	b := newBatch[T, R](arrivals)
	ctx, end := g.begin(ctx, arrivals)
	defer func() { end(b.report) }()
	for b.elect() {
		g.lookInCache(ctx, b)
		g.lookInStore(ctx, b, ByStore)
		g.commit(ctx, b)
		b.settleFollowers()
	}
	g.remember(ctx, b)
	b.report.Size = len(arrivals)
	g.opts.Observe(b.report)
	return b.answers()
}

// begin tells Options.Begin of a batch.
func (g *Guard[T, R]) begin(
	ctx context.Context, arrivals []arrival[T],
) (_ context.Context, end func(Batch)) {
	if g.opts.Begin == nil {
		return ctx, func(Batch) {}
	}
	callers := make([]context.Context, len(arrivals))
	for i, a := range arrivals {
		callers[i] = a.ctx
	}
	return g.opts.Begin(ctx, callers)
}

// lookInCache is step 1. Only an exact repeat is believed: a hit with other content goes on to
// the store, because a stale cache must not make a conflict. A failing cache costs step 2.
func (g *Guard[T, R]) lookInCache(ctx context.Context, b *batch[T, R]) {
	defer b.clock(&b.report.Steps.Cache)()
	keys := b.openKeys()
	records, err := g.cacheGet(ctx, keys)
	if err != nil {
		b.report.CacheErr = err
	}
	b.report.CacheLookups += len(keys)
	for _, i := range b.open() {
		record, hit := records[b.reqs[i].Key]
		if !hit {
			continue
		}
		if d := judge(b.reqs[i], record, ByCache); d.Verdict == Duplicate {
			b.report.CacheHits++
			b.settle(i, d)
		}
	}
}

// lookInStore is step 2, and what a lost race comes back to. A miss proves nothing.
func (g *Guard[T, R]) lookInStore(ctx context.Context, b *batch[T, R], by Source) {
	if len(b.open()) == 0 {
		return
	}
	defer b.clock(&b.report.Steps.Find)()
	records, err := g.store.Find(ctx, b.openKeys())
	for _, i := range b.open() {
		if err != nil {
			b.settle(i, Decision[R]{Verdict: Retry, Err: err})
			continue
		}
		if record, found := records[b.reqs[i].Key]; found {
			d := judge(b.reqs[i], record, by)
			if b.settle(i, d); d.Verdict != Retry {
				b.cacheable[record.Key] = record
			}
		}
	}
}

// commit is step 3: the work and the key in one transaction. The unique key decides; whoever
// loses it goes back to step 2 and finds there what the winner stored.
func (g *Guard[T, R]) commit(ctx context.Context, b *batch[T, R]) {
	for round := 1; len(b.open()) > 0; round++ {
		open := b.open()
		answers := g.transact(ctx, b, b.requests(open))
		raced := false
		for n, i := range open {
			if errors.Is(answers[n].Err, ErrRaced) && round < g.opts.Rounds {
				raced = true
				continue
			}
			b.settleAnswer(i, answers[n])
		}
		if raced {
			b.report.Races++
			g.lookInStore(ctx, b, ByUnique)
		}
	}
}

// transact runs one transaction, or as many as it takes to leave a request that the store cannot
// hold, or that makes it panic, standing alone. Undivided, such a request would take its
// neighbours with it, and as all of them come again together, would do so until the last
// attempt. After a failure of the infrastructure the halves would fail as well.
func (g *Guard[T, R]) transact(
	ctx context.Context, b *batch[T, R], reqs []Request[T],
) []Answer[R] {
	stop := b.clock(&b.report.Steps.Commit)
	answers, err := g.storeCommit(ctx, reqs)
	stop()
	b.report.Commits++
	if err == nil && len(answers) != len(reqs) {
		err = fmt.Errorf("idem: %d requests got %d answers", len(reqs), len(answers))
	}
	if err == nil {
		return answers
	}
	if isolable(err) && len(reqs) > 1 && ctx.Err() == nil {
		half := len(reqs) / 2
		return append(g.transact(ctx, b, reqs[:half]), g.transact(ctx, b, reqs[half:])...)
	}
	answers = make([]Answer[R], len(reqs))
	for i := range answers {
		answers[i] = Answer[R]{Verdict: Retry, Err: err}
	}
	return answers
}

// isolable reports whether an error is likely to be the fault of a single request.
func isolable(err error) bool {
	var panicked *PanicError
	return errors.Is(err, ErrContent) || errors.As(err, &panicked)
}

// remember writes what is decided to the cache, after the commit. When it fails the work is
// done all the same: the next duplicate is found in step 2 and written here again.
func (g *Guard[T, R]) remember(ctx context.Context, b *batch[T, R]) {
	if len(b.cacheable) == 0 {
		return
	}
	defer b.clock(&b.report.Steps.Put)()
	records := make([]Record[R], 0, len(b.cacheable))
	for _, record := range b.cacheable {
		records = append(records, record)
	}
	if err := g.cachePut(ctx, records); err != nil {
		b.report.CacheErr = err
	}
}

// cacheGet and cachePut make a panic in the cache cost what a failure costs: nothing but the
// work that it would have saved.
func (g *Guard[T, R]) cacheGet(
	ctx context.Context, keys []Key,
) (records map[Key]Record[R], err error) {
	defer recoverTo(&err)
	return g.cache.Get(ctx, keys)
}

func (g *Guard[T, R]) cachePut(ctx context.Context, records []Record[R]) (err error) {
	defer recoverTo(&err)
	return g.cache.Put(ctx, records)
}

// storeCommit makes a panic an error that transact can isolate. What the store had committed
// before it panicked is found by the unique key, as after any lost answer.
func (g *Guard[T, R]) storeCommit(
	ctx context.Context, reqs []Request[T],
) (answers []Answer[R], err error) {
	defer recoverTo(&err)
	return g.store.Commit(ctx, reqs)
}

// judge compares a request with what is stored under its key, by the stored version's rules.
func judge[T, R any](req Request[T], record Record[R], by Source) Decision[R] {
	sum, known := req.Fingerprint(record.Fingerprint.Version)
	if !known || sum.Version != record.Fingerprint.Version {
		// A newer program stored it. This one must not guess, nor cache what it cannot read; the
		// newer one gets it by retry.
		return Decision[R]{Verdict: Retry, Err: fmt.Errorf(
			"idem: key %q has a fingerprint of unknown version %d",
			req.Key, record.Fingerprint.Version)}
	}
	verdict := Duplicate
	if sum != record.Fingerprint {
		verdict = Conflict
	}
	return Decision[R]{Verdict: verdict, Record: record, By: by}
}
