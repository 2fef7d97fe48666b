package idemtest

import (
	"context"
	"maps"
	"sync"

	"example.com/payment/internal/idem"
)

// Cache is an idem.Cache in memory.
type Cache[R any] struct {
	Faults

	mu      sync.Mutex
	records map[idem.Key]idem.Record[R]
}

// NewCache returns an empty cache.
func NewCache[R any]() *Cache[R] {
	return &Cache[R]{records: make(map[idem.Key]idem.Record[R])}
}

// Get implements idem.Cache.
func (c *Cache[R]) Get(
	ctx context.Context, keys []idem.Key,
) (found map[idem.Key]idem.Record[R], err error) {
	err = c.run(ctx, Get, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = pick(c.records, keys)
		return nil
	})
	return found, err
}

// Put implements idem.Cache.
func (c *Cache[R]) Put(ctx context.Context, records []idem.Record[R]) error {
	return c.run(ctx, Put, func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, record := range records {
			c.records[record.Key] = record
		}
		return nil
	})
}

// Flush forgets everything, as an expiry or a restart does.
func (c *Cache[R]) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.records)
}

// Records returns a copy of what the cache holds.
func (c *Cache[R]) Records() map[idem.Key]idem.Record[R] {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.records)
}

func pick[R any](
	records map[idem.Key]idem.Record[R], keys []idem.Key,
) map[idem.Key]idem.Record[R] {
	found := make(map[idem.Key]idem.Record[R], len(keys))
	for _, key := range keys {
		if record, ok := records[key]; ok {
			found[key] = record
		}
	}
	return found
}
