package payment

import (
	"fmt"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// Answer is what was decided about one serial number, and what each duplicate is told again.
type Answer struct {
	// Outcome is Paid, Declined, or Duplicate for a second serial of an order already paid.
	Outcome order.Outcome `json:"outcome"`
	Reason  order.Reason  `json:"reason,omitempty"`
	// First and FirstAt name the payment that this serial repeats, if Outcome is Duplicate.
	First   order.Serial `json:"first,omitempty"`
	FirstAt time.Time    `json:"first_at,omitzero"`
}

// Request is one order on its way through the guard.
type Request = idem.Request[order.Order]

// Record is what is kept of a decided request.
type Record = idem.Record[Answer]

// NewRequest makes the serial number the idempotency token of an order.
func NewRequest(o order.Order) Request {
	return Request{
		Key: idem.Key(o.Serial),
		Fingerprint: func(version int) (idem.Fingerprint, bool) {
			sum, known := o.Fingerprint(version)
			return idem.Fingerprint{Version: version, Sum: sum}, known
		},
		Payload: o,
	}
}

// Account is an account as a transaction has locked it.
type Account struct {
	ID       order.Account
	Currency order.Currency
	Balance  int64 // in minor units, never negative
	Closed   bool
}

// Payment is a row of the ledger: one decided serial.
type Payment struct {
	Order order.Order
	Record
}

// Entry is one side of a payment: a negative amount for the payer, a positive one for the payee.
type Entry struct {
	Serial  order.Serial
	Account order.Account
	Minor   int64
	At      time.Time
}

// Book takes the decisions of one transaction. It is made from what the transaction has locked
// and read, decides request after request as if each were alone, and collects what must be
// written. It does no input or output, knows no time but its own, and serves one goroutine.
type Book struct {
	now      time.Time
	limit    int64
	accounts map[order.Account]*Account
	paid     map[order.ID]Record
	payments []Payment
	entries  []Entry
	touched  []order.Account
}

// NewBook opens a book at the time now. The accounts are locked until the book is written; paid
// are the orders among the requests that have been paid already, by the record that paid them.
// No account may come to hold more than limit minor units. Both collections are the book's from
// now on.
func NewBook(
	now time.Time, limit int64, accounts []Account, paid map[order.ID]Record,
) *Book {
	if paid == nil {
		paid = make(map[order.ID]Record)
	}
	b := &Book{
		now:      now,
		limit:    limit,
		accounts: make(map[order.Account]*Account, len(accounts)),
		paid:     paid,
	}
	for i := range accounts {
		b.accounts[accounts[i].ID] = &accounts[i]
	}
	return b
}

// Decide takes the decision about one request. Every answer but Conflict and Retry leaves a
// payment row, also a refusal: a serial that was declined stays declined.
func (b *Book) Decide(req Request) idem.Answer[Answer] {
	o := req.Payload
	if first, paid := b.paid[o.ID]; paid {
		return b.repeat(req, first)
	}
	if reason := b.refuse(o); reason != "" {
		return b.record(req, Answer{Outcome: order.Declined, Reason: reason})
	}
	b.move(o)
	answer := b.record(req, Answer{Outcome: order.Paid})
	b.paid[o.ID] = answer.Record
	return answer
}

// repeat answers a second serial for an order that is already paid.
func (b *Book) repeat(req Request, first Record) idem.Answer[Answer] {
	sum, known := req.Fingerprint(first.Fingerprint.Version)
	if !known {
		return idem.Answer[Answer]{Verdict: idem.Retry, Err: fmt.Errorf(
			"order %s was paid under fingerprint version %d, which is unknown here",
			req.Payload.ID, first.Fingerprint.Version)}
	}
	if sum != first.Fingerprint {
		return idem.Answer[Answer]{Verdict: idem.Conflict, Record: first}
	}
	answer := b.record(req, Answer{
		Outcome: order.Duplicate,
		Reason:  order.OrderAlreadyPaid,
		First:   order.Serial(first.Key),
		FirstAt: first.DecidedAt,
	})
	answer.Verdict = idem.Duplicate
	return answer
}

// refuse returns why an order cannot be paid, or nothing if it can.
func (b *Book) refuse(o order.Order) order.Reason {
	payer, payee := b.accounts[o.Payer], b.accounts[o.Payee]
	switch {
	case o.Payer == o.Payee:
		return order.SameAccount
	case payer == nil || payee == nil:
		return order.UnknownAccount
	case payer.Closed || payee.Closed:
		return order.ClosedAccount
	case payer.Currency != o.Amount.Currency || payee.Currency != o.Amount.Currency:
		return order.CurrencyMismatch
	case payer.Balance < o.Amount.Minor:
		return order.InsufficientFunds
	case payee.Balance > b.limit-o.Amount.Minor:
		return order.BalanceLimit
	default:
		return ""
	}
}

func (b *Book) move(o order.Order) {
	payer, payee := b.accounts[o.Payer], b.accounts[o.Payee]
	payer.Balance -= o.Amount.Minor
	payee.Balance += o.Amount.Minor
	b.entries = append(b.entries,
		Entry{Serial: o.Serial, Account: o.Payer, Minor: -o.Amount.Minor, At: b.now},
		Entry{Serial: o.Serial, Account: o.Payee, Minor: o.Amount.Minor, At: b.now},
	)
	b.touched = append(b.touched, o.Payer, o.Payee)
}

func (b *Book) record(req Request, answer Answer) idem.Answer[Answer] {
	sum, _ := req.Fingerprint(order.FingerprintVersion)
	record := Record{Key: req.Key, Fingerprint: sum, Answer: answer, DecidedAt: b.now}
	b.payments = append(b.payments, Payment{Order: req.Payload, Record: record})
	return idem.Answer[Answer]{Verdict: idem.Decided, Record: record}
}

// Payments are the rows to insert, in the order of the decisions.
func (b *Book) Payments() []Payment { return b.payments }

// Entries are the ledger entries to insert, two per payment that was made.
func (b *Book) Entries() []Entry { return b.entries }

// Balances are the accounts that changed, each once, with the balance they must now have.
func (b *Book) Balances() []Account {
	seen := make(map[order.Account]bool, len(b.touched))
	var changed []Account
	for _, id := range b.touched {
		if !seen[id] {
			seen[id] = true
			changed = append(changed, *b.accounts[id])
		}
	}
	return changed
}
