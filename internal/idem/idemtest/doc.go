// Package idemtest holds what the tests of package idem and of its adapters share: an in-memory
// [Cache] and [Store] that fail when they are told to, and the suites [TestCache] and [TestStore]
// that say what idem.Guard relies on.
//
// The fakes pass the same suites as the adapters of real servers, so that a test which passes
// with a fake does not rest on a promise that no server keeps. What a fake cannot show is how a
// server breaks; its faults stand for the four ways that matter to a caller: nothing was done
// and an error says so, it was done and the answer was lost, and the same two with a panic.
//
//	store := idemtest.NewStore(idemtest.Echo[string])
//	store.Break(idemtest.Commit, idemtest.FailAfter(idem.ErrUnavailable))
//	// ... the guard answers Retry, although the work is done
//	store.Mend()
//	// ... the guard answers Duplicate, and store.Effects(key) is still 1
package idemtest
