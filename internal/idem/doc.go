// Package idem makes the consumer of a message queue idempotent: however often, wherever and at
// the same time as what else a request is delivered, its work is done once, and every delivery
// gets the first answer. It knows nothing of the queue, the database, the cache or the work.
//
// # The three steps
//
// A [Guard] takes each delivery through three steps, and stops at the first that knows the key:
//
//  1. The [Cache] is asked. An exact repeat is answered from it.
//  2. The [Store] is asked. Caches expire, so a miss in step 1 proved nothing.
//  3. The Store does the work and stores the key, in one transaction under a unique key. A miss
//     in step 2 proved nothing either: whoever loses the race for the key is told [ErrRaced],
//     goes back to step 2, and finds there what the winner stored. Then, after the commit, the
//     Cache is told.
//
// [Guard.Process] returns a [Decision], and its [Verdict] says what the caller does next:
//
//	Decided    done, or refused for good, now         send the answer, acknowledge
//	Duplicate  decided before; Record has the answer  send the first answer, acknowledge
//	Conflict   decided before with other content      set it aside, acknowledge
//	Retry      nothing is known to be decided         do not acknowledge: it must come again
//
// # What is promised
//
// For each key the work is committed at most once; and exactly once, if the request is delivered
// until a delivery ends in something else than Retry. Every Decided and Duplicate of a key
// carries the same record. This holds over any number of goroutines, guards and processes that
// share one Store, and over a crash at any point:
//
//	a crash or failure                     leaves        and the next delivery
//	before step 3                          nothing       is Decided
//	in step 3, before the commit           nothing       is Decided
//	in the commit, the answer being lost   it is there,  is a Duplicate,
//	                                       or it is not  or is Decided: the unique key knows
//	after the commit, before the cache     the record    is a Duplicate from step 2
//	after the cache was written            both          is a Duplicate from step 1
//
// The conditions are these, and the last is the caller's:
//
//   - The sender mints the [Key] before its first send and repeats it unchanged with each resend.
//     An ID that the queue assigns is no such key: the application's own resend gets a new one.
//   - The Fingerprint of a [Request] covers all business fields and nothing that an honest resend
//     changes. It tells a repeat from another request under a used key. Its version is stored
//     with it, so that it can be computed in another way later: a program that does not know
//     the stored version answers Retry rather than guess.
//   - [Store].Commit puts work and key into one transaction, and the key is unique, byte for byte.
//   - The Cache may forget, fail, hang within its own limit or panic, but returns only what was put
//     there for a commit that the Store still has. An exact repeat is believed, so after a
//     restore of the database older values must not be returned; a conflict is not believed, and
//     is confirmed in the Store.
//   - Acknowledge last: after Process has returned and its answer has been passed on. The
//     delivery that is not acknowledged is the only reminder of what is still to be done.
//
// # Group commit
//
// Process blocks, and is meant to be called by very many goroutines at once. While a committer
// takes one batch through the steps, further calls pile up, and the next free one takes all of
// them, up to Options.BatchMax. So a batch costs one cache read, one Find, one Commit and one
// cache write however many requests are in it, and a call that comes alone waits for no timer.
// [Batcher] is this mechanism by itself, for other things that are cheaper by the dozen.
//
// Of several requests with one key in a batch the first leads and the others follow: the Store
// sees only the leader. Followers are compared with the leader's record, once it is committed; if
// the leader must come again, so must they. Followers whose leader left no record under the key,
// or one that only the cache has confirmed and that differs, go through the steps themselves.
//
// # Errors
//
// A Store tells the Guard what an error means by wrapping one of these; all others mean only
// that this attempt failed, and end in Retry:
//
//   - [ErrRaced]: somebody else stored one of the keys. Back to step 2, at most Options.Rounds
//     times.
//   - [ErrContent]: the store cannot hold what one of the requests asks for. The batch is divided
//     until that request stands alone; it gets Retry with this error, and the others are carried
//     out. A request that makes Commit panic is isolated in the same way, with a [PanicError].
//     Such a request fails again each time, so the caller sets it aside after some attempts.
//   - [ErrUnavailable]: the store is out of reach. Nothing is divided or repeated; see Hold.
//
// A Store retries deadlocks and the like by itself, with a new transaction each time, rolls back
// when its own code panics, and keeps its own limit on everything it waits for. Options.Timeout
// ends a batch only through its context.
//
// # Outages
//
// Queues count deliveries and give a message up after some. An outage of a minute should not use
// them up, so [Hold] lets the callers wait in place: once an operation fails with ErrUnavailable
// all stand still, one at a time tries, and the first that gets an answer lets all go.
//
//	err := hold.Do(ctx, func(ctx context.Context) error {
//		decision = guard.Process(ctx, req)
//		return decision.Err
//	})
//
// The context's limit must be well under the time after which the queue takes a delivery for
// lost.
//
// # How to adopt it
//
//  1. Agree with the senders on the key: a business number, minted once, unique for ever.
//  2. Write the fingerprint: a version, a domain and the business fields, each with its length,
//     into SHA-256.
//  3. Implement Store: a table whose primary key is the key, in a binary collation, beside the
//     fingerprint, its version, the answer and the time; Commit does your work in the same
//     transaction. Run idemtest.TestStore against it, on a real server.
//  4. Implement Cache, with an expiry, a time limit and a way to tell values that cannot be
//     trusted; run idemtest.TestCache. Begin with one that is always empty if you like: it costs
//     speed and nothing else.
//  5. Call Process from the listener, one message per call and many calls at once; act on
//     the verdict as the table above says; acknowledge last. On shutdown stop taking messages,
//     let the calls return, then Close.
//
// The package example is a whole service of this kind.
package idem
