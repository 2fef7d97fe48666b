package idem_test

import (
	"context"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// spyCache shows each Put before it is made.
type spyCache struct {
	*idemtest.Cache[string]
	put  func([]record)
	puts int
}

func (c *spyCache) Put(ctx context.Context, records []record) error {
	c.puts++
	c.put(records)
	return c.Cache.Put(ctx, records)
}

// badStore answers a Commit with whatever it is told to.
type badStore struct {
	*store
	commit func([]request) ([]idem.Answer[string], error)
}

func (s *badStore) Commit(
	_ context.Context, reqs []request,
) ([]idem.Answer[string], error) {
	return s.commit(reqs)
}
