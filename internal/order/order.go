// Package order is the contract between the senders of order messages and the service that pays
// them: what an order is, how it and its result are written, and what is refused. It stands on
// the standard library alone and knows nothing of brokers or databases, so that a producer can
// import it as it is.
//
// Everything from outside goes through Decode, or through the parsers and Validate; from there
// on the types are taken at their word. What is refused is an *InvalidError, which says why
// without repeating what was read.
package order

// ID names an order; it is the Key of the order's message.
type ID string

// Serial is a payment serial number. It names one payment request and is the idempotency token:
// the sender mints it once, before the first send, and repeats it unchanged with every resend.
type Serial string

// Account names a payer or a payee.
type Account string

// Order is one request to pay for an order. A value that Decode returned, or in which
// Validate found nothing wrong, is valid.
type Order struct {
	ID     ID
	Serial Serial
	Payer  Account
	Payee  Account
	Amount Money
}
