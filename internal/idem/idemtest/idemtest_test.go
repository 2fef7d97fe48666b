package idemtest_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ idem.Cache[string]         = (*idemtest.Cache[string])(nil)
	_ idem.Store[string, string] = (*idemtest.Store[string, string])(nil)
)

func TestCache(t *testing.T) {
	t.Parallel()
	idemtest.TestCache(t, idemtest.CacheHarness[string]{
		Open:   func(*testing.T) idem.Cache[string] { return idemtest.NewCache[string]() },
		Answer: func(n int) string { return fmt.Sprintf("answer %d", n) },
	})
}

func TestStore(t *testing.T) {
	t.Parallel()
	type store = *idemtest.Store[string, string]
	idemtest.TestStore(t, idemtest.StoreHarness[string, string]{
		Open: func(*testing.T) idem.Store[string, string] {
			return idemtest.NewStore(refuseBad)
		},
		Request: func(key idem.Key, content int) idem.Request[string] {
			return idemtest.Request(key, fmt.Sprintf("content %d", content))
		},
		Effects: func(_ *testing.T, s idem.Store[string, string], key idem.Key) int {
			return s.(store).Effects(key)
		},
		Bad: func(key idem.Key) idem.Request[string] { return idemtest.Request(key, "bad") },
	})
}

func refuseBad(
	tx *idemtest.Tx[string], req idem.Request[string],
) (idem.Answer[string], error) {
	if req.Payload == "bad" {
		return idem.Answer[string]{}, fmt.Errorf("key %q: %w", req.Key, idem.ErrContent)
	}
	return idemtest.Echo(tx, req)
}
