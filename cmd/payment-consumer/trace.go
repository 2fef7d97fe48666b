package main

import (
	"context"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
)

// beginBatch makes a span of each group commit, or is nil when tracing is off.
func (s *service) beginBatch() func(
	context.Context, []context.Context,
) (context.Context, func(idem.Batch)) {
	if s.tracer == nil {
		return nil
	}
	return func(
		ctx context.Context, callers []context.Context,
	) (context.Context, func(idem.Batch)) {
		ctx, span := tracing.Batch(ctx, "commit batch", callers)
		return ctx, func(b idem.Batch) {
			span.Set(tracing.Attributes{
				"payment.batch.size": b.Size, "payment.batch.cache_hits": b.CacheHits,
				"payment.batch.commits": b.Commits, "payment.batch.races": b.Races,
			})
			span.End("")
		}
	}
}

// stepSpan makes a span of one of the three steps, with the number of keys in it.
func stepSpan(ctx context.Context, name string, keys int) (context.Context, func(error)) {
	ctx, span := tracing.Child(ctx, name, tracing.Internal, func() tracing.Attributes {
		return tracing.Attributes{"payment.step.keys": keys}
	})
	return ctx, func(err error) {
		word := ""
		if err != nil {
			word = "failed"
		}
		span.End(word)
	}
}

// store is what the guard needs of the database.
type store = idem.Store[order.Order, payment.Answer]

// tracedStore makes spans of steps 2 and 3.
type tracedStore struct{ store }

// Find is step 2.
func (t tracedStore) Find(
	ctx context.Context, keys []idem.Key,
) (map[idem.Key]payment.Record, error) {
	ctx, done := stepSpan(ctx, "step 2: look up in the database", len(keys))
	found, err := t.store.Find(ctx, keys)
	done(err)
	return found, err
}

// Commit is step 3.
func (t tracedStore) Commit(
	ctx context.Context, reqs []payment.Request,
) ([]idem.Answer[payment.Answer], error) {
	ctx, done := stepSpan(ctx, "step 3: pay and commit", len(reqs))
	answers, err := t.store.Commit(ctx, reqs)
	done(err)
	return answers, err
}

// cache is what the guard needs of Redis.
type cache = idem.Cache[payment.Answer]

// tracedCache makes spans of step 1, and of the write after step 3.
type tracedCache struct{ cache }

// Get is step 1.
func (t tracedCache) Get(
	ctx context.Context, keys []idem.Key,
) (map[idem.Key]payment.Record, error) {
	ctx, done := stepSpan(ctx, "step 1: look up in the cache", len(keys))
	found, err := t.cache.Get(ctx, keys)
	done(err)
	return found, err
}

// Put is the write to the cache, after the commit.
func (t tracedCache) Put(ctx context.Context, records []payment.Record) error {
	ctx, done := stepSpan(ctx, "write to the cache", len(records))
	err := t.cache.Put(ctx, records)
	done(err)
	return err
}
