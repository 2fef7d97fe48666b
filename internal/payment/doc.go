// Package payment is the example that the idempotency guard protects: accounts, a double-entry
// ledger, and the decision whether an order can be paid. It is the part to replace when this
// program becomes the template of another service.
//
// Two things live here. Book takes the decisions of one transaction: it is given locked accounts
// and says what to write, and touches no database itself. Service takes one delivery of a
// message from its bytes to its acknowledgement.
package payment
