// Package textbook is the idempotent consumer as tutorials write it: one message at a time, look
// the token up in the cache, look it up in the database, pay and store the token in one
// transaction, put it into the cache.
//
// In the right order that is correct, and slow. Three orders that tutorials also teach look as
// good and are not:
//
//   - [CacheFirst] writes the cache before the commit. If the commit then fails, the cache says
//     "paid", everybody believes it, and the payment is lost.
//   - [CheckThenAct] lets the lookup decide, with no unique key. Two consumers look at the same
//     moment, both find nothing, and both pay.
//   - [MessageID] takes the broker's message ID for the token. It survives the broker's own
//     repeats, and an application that sends the same request again gets a new one, and pays twice.
//
// Nobody should copy any of this: it is here to be read, to be measured against, and to fail under
// the fault suite (payment-lab exhibits). What to copy is package idem.
package textbook
