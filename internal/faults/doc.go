// Package faults breaks the payment service on purpose and checks that no payment was lost and
// none was made twice.
//
// A Rig is the system itself: real RocketMQ, database and Redis, a proxy before each, and real
// payment-consumer processes, built with failpoints (package failpoint). A Case breaks something
// while messages flow. After each case the rig mends everything, waits until the backlog has
// drained, and holds what the senders were told against what the database, the quarantine and
// the result topic say. While faults happen a sampler audits the live system.
//
// The checks are the invariants I1 to I13:
//
//	I1   money is conserved in every currency, also while faults happen
//	I2   a paid payment has two entries that sum to zero; any other has none
//	I3   a balance is its opening plus its entries
//	I4   nothing is lost: what was acknowledged to its sender has a row or is in quarantine
//	I5   one payment per serial number, at most one that paid per order
//	I6   nothing is invented: each row was asked for, with this content
//	I7   of a serial's contents one is decided, every other is in quarantine as a conflict
//	I8   the cache knows nothing that the database does not, and everything in it expires
//	I9   what is below the group's committed offset has an outcome, or a copy that comes again
//	I10  what is decided stays as it is, and the consumer's user could not change it
//	I11  no transaction stays open; memory, goroutines and connections return to where they were
//	I12  the backlog is drained within 180 s of the last fault
//	I13  no body, secret or password is in any log
//
// and of the answers: A1, everybody who asked was answered, A2, with the truth, and A3, what is
// declined is declined for a reason that holds.
//
// A run in which a fault did not happen is invalid, and not green: the Journal counts each fault
// with what proves it. No violation in n trials bounds the rate of violations at about 3/n, so
// the counts are part of the verdict.
package faults
