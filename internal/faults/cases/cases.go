// Package cases is the catalogue of faults: each case breaks one thing, on purpose and
// provably, while orders flow.
package cases

import (
	"slices"

	"example.com/payment/internal/faults"
)

// All returns the whole catalogue, in its order.
func All() []faults.Case {
	return slices.Concat(
		crashes(), servers(), pauses(), commits(), network(), duplicates(), database(),
		cache(), broker(), hostile(),
	)
}

// Quick returns the cases that are cheap enough to run with the tests.
func Quick() []faults.Case {
	return slices.DeleteFunc(All(), func(c faults.Case) bool { return !c.Quick })
}
