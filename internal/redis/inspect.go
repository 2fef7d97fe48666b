package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"example.com/payment/internal/idem"
)

// scanCount is how many keys a page of Scan asks Redis to look at. Redis serves nobody else
// while it looks, and 250 keys take it well under a millisecond.
const scanCount = 250

// Inspection is what the cache holds under one key, for people and for the audit.
type Inspection[R any] struct {
	Key     idem.Key
	Present bool
	// Verified reports whether Get would believe the value. Only then is Record filled.
	Verified bool
	// Problem says in plain words why a value that is present is not believed.
	Problem string
	// Outdated says that this service signed the value under another ledger epoch: it is a miss,
	// as it should be after the epoch was replaced.
	Outdated bool
	// Unknown says that nobody can tell at the moment whether it would be.
	Unknown bool
	// TTL is what remains of its life. Expires is false for a value that would stay for ever,
	// which this service never writes.
	TTL     time.Duration
	Expires bool
	Record  idem.Record[R]
}

// Inspect looks at one key. It asks Redis even while the breaker does not.
func (c *Cache[R]) Inspect(ctx context.Context, key idem.Key) (Inspection[R], error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.patience())
	defer cancel()
	found, err := c.inspect(ctx, []idem.Key{key})
	if err != nil {
		return Inspection[R]{Key: key}, fmt.Errorf("redis %s: inspect a key: %w",
			c.cfg.Address, err)
	}
	return found[0], nil
}

// Scan calls fn for every value under the prefix, page by page, in no order, and stops at the
// first error of fn. A value that is there from beginning to end is seen at least once, perhaps
// more often; one that comes or goes meanwhile may be missed. Each page has a time limit of its
// own, so that only ctx bounds the whole.
func (c *Cache[R]) Scan(ctx context.Context, fn func(Inspection[R]) error) error {
	for cursor := uint64(0); ; {
		page, next, err := c.scanPage(ctx, cursor)
		if err != nil {
			return fmt.Errorf("redis %s: scan %q: %w", c.cfg.Address, c.cfg.KeyPrefix, err)
		}
		for _, found := range page {
			if err := fn(found); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}

func (c *Cache[R]) scanPage(
	ctx context.Context, cursor uint64,
) (page []Inspection[R], next uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.patience())
	defer cancel()
	names, next, err := c.patient.Scan(ctx, cursor, globOf(c.cfg.KeyPrefix), scanCount).Result()
	if err != nil {
		return nil, 0, describe(err)
	}
	// A page is usually about scanCount keys; while Redis resizes its table it may be far more.
	for part := range slices.Chunk(names, maxPipeline) {
		keys := make([]idem.Key, len(part))
		for i, name := range part {
			keys[i] = idem.Key(strings.TrimPrefix(name, c.cfg.KeyPrefix))
		}
		found, err := c.inspect(ctx, keys)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, found...)
	}
	gone := func(i Inspection[R]) bool { return !i.Present }
	return slices.DeleteFunc(page, gone), next, nil
}

// globOf returns the pattern of all keys that begin with prefix, whatever it contains.
func globOf(prefix string) string {
	return strings.NewReplacer(
		`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`,
	).Replace(prefix) + "*"
}

// inspect reads values and their expiries in one round trip. A key that expires between the two
// is taken for absent.
func (c *Cache[R]) inspect(ctx context.Context, keys []idem.Key) ([]Inspection[R], error) {
	pipe := c.patient.Pipeline()
	values := make([]*redis.StringCmd, len(keys))
	ttls := make([]*redis.DurationCmd, len(keys))
	for i, key := range keys {
		values[i] = pipe.GetRange(ctx, c.name(key), 0, maxValue)
		ttls[i] = pipe.PTTL(ctx, c.name(key))
	}
	_, err := pipe.Exec(ctx)
	replies := make([]reply, len(keys))
	for i := range keys {
		replies[i] = replyOf(values[i])
		if err := ttls[i].Err(); err != nil {
			replies[i].err = err
		}
	}
	if failed := settle(replies, err); failed != nil {
		return nil, failed
	}
	found := make([]Inspection[R], len(keys))
	for i, key := range keys {
		found[i] = c.judge(key, replies[i], ttls[i].Val())
	}
	return found, nil
}

func (c *Cache[R]) judge(key idem.Key, r reply, ttl time.Duration) Inspection[R] {
	found := Inspection[R]{Key: key}
	// The client hands on PTTL's -1 (no expiry) and -2 (no key) as they are.
	if ttl == -2 {
		return found
	}
	found.Present = true
	if ttl >= 0 {
		found.TTL, found.Expires = ttl, true
	}
	if r.wrongType {
		found.Problem = string(notString)
		return found
	}
	epoch, ok := c.epoch()
	if !ok {
		found.Problem, found.Unknown = string(unknownEpoch), true
		return found
	}
	record, why := open[R](c.cfg.Keys, epoch, key, []byte(r.value))
	found.Verified, found.Problem, found.Record = why == "", string(why), record
	found.Outdated = why == otherEpoch
	return found
}
