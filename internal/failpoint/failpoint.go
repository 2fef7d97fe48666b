// Package failpoint names the places where a crash is worth trying, and lets the fault rig make
// one happen exactly there.
//
// In an ordinary build Hit does nothing and the compiler removes the call. In a build with the
// tag failpoints it obeys PAYMENT_TEST_FAILPOINT, a list of POINT=ACTION@WHEN with commas between:
//
//	committed=kill@7            end the process as kill -9 would, at the 7th hit
//	received=panic@1%           panic at one hit in a hundred
//	begun=stop@3                stop the process as SIGSTOP does, until somebody continues it
//	received=sleep:20s@1        take 20 s longer at the 1st hit
//
// Each action is announced by a line on standard error before it happens: a fault that did not
// fire proves nothing.
package failpoint

// Point is a place in the consumer, on the way of one message from its delivery to its
// acknowledgement. The order of the constants is the order on that way.
type Point string

// The points. What a crash at each leaves behind is the crash table of DESIGN.md.
const (
	// Received: the handler has a message and has done nothing.
	Received Point = "received"
	// CacheRead: step 1 is over.
	CacheRead Point = "cache-read"
	// LookedUp: step 2 is over.
	LookedUp Point = "looked-up"
	// Begun: a transaction is open and nothing is in it.
	Begun Point = "begun"
	// Inserted: payments and entries are written, balances are not.
	Inserted Point = "inserted"
	// BeforeCommit: everything is written and nothing is committed.
	BeforeCommit Point = "before-commit"
	// Committed: the database has it, the cache does not.
	Committed Point = "committed"
	// CacheWritten: the cache has it, the caller does not.
	CacheWritten Point = "cache-written"
	// Quarantined: a message that is not paid is kept, and nobody was told.
	Quarantined Point = "quarantined"
	// ResultSent: the broker has the result.
	ResultSent Point = "result-sent"
	// BeforeAcknowledge: all is done, and the broker does not know it.
	BeforeAcknowledge Point = "before-acknowledge"
)

// Points returns all points in their order.
func Points() []Point {
	return []Point{
		Received, CacheRead, LookedUp, Begun, Inserted, BeforeCommit, Committed, CacheWritten,
		Quarantined, ResultSent, BeforeAcknowledge,
	}
}

// Variable is the environment variable that a build with failpoints obeys.
const Variable = "PAYMENT_TEST_FAILPOINT"
