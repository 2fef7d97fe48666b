package faults

import (
	"context"
	"fmt"
	"strings"

	"example.com/payment/internal/order"
)

// The accounts of a run. Every name holds marker, which no log may show.
const (
	payers  = 60
	payees  = 12
	opening = 1_000_000_000
	hot     = "hot-" + marker
	poor    = "poor-" + marker
	closed  = "closed-" + marker
	dollars = "dollars-" + marker
	// full is an account at the limit of what may be held.
	full = "full-" + marker
)

func payer(n int) order.Account { return order.Account(fmt.Sprintf("payer-%s-%d", marker, n)) }
func payee(n int) order.Account { return order.Account(fmt.Sprintf("payee-%s-%d", marker, n)) }

// account is what the rig opens one with.
type account struct {
	currency order.Currency
	minor    int64
	closed   bool
}

// accounts are all that there are. The payers have more than any run can spend.
func accounts() map[order.Account]account {
	all := map[order.Account]account{
		hot:     {currency: "CNY", minor: opening},
		poor:    {currency: "CNY"},
		closed:  {currency: "CNY", closed: true},
		dollars: {currency: "USD", minor: opening},
		full:    {currency: "CNY", minor: 1_000_000_000_000_000_000},
	}
	for n := range payers {
		all[payer(n+1)] = account{currency: "CNY", minor: opening}
	}
	for n := range payees {
		all[payee(n+1)] = account{currency: "CNY"}
	}
	return all
}

func (r *Rig) openAccounts(ctx context.Context) error {
	var values []string
	for id, a := range accounts() {
		values = append(values, fmt.Sprintf("('%s','%s',%d,%d,%t)",
			id, a.currency, a.minor, a.minor, a.closed))
	}
	_, err := r.SQL.ExecContext(ctx, `INSERT INTO accounts
(account_id, currency, opening_minor, balance_minor, closed) VALUES `+strings.Join(values, ","))
	return err
}

// Refused returns valid orders that the business refuses: cases F76, F77 and F82.
func (s *Sender) Refused() map[order.Reason]order.Order {
	orders := map[order.Reason]order.Order{}
	for reason, change := range map[order.Reason]func(*order.Order){
		order.SameAccount:       func(o *order.Order) { o.Payee = o.Payer },
		order.UnknownAccount:    func(o *order.Order) { o.Payee = "nobody-" + marker },
		order.ClosedAccount:     func(o *order.Order) { o.Payee = closed },
		order.CurrencyMismatch:  func(o *order.Order) { o.Payee = dollars },
		order.InsufficientFunds: func(o *order.Order) { o.Payer = poor },
		order.BalanceLimit:      func(o *order.Order) { o.Payee = full; o.Amount.Minor = 10 },
	} {
		o := s.Order()
		change(&o)
		orders[reason] = o
	}
	return orders
}

// checkReasons is A3: what is declined is declined for a reason that holds, and what is paid has
// none against it.
func (w world) checkReasons(f *findings) {
	known := accounts()
	for serial, p := range w.payments {
		reasons := against(p.order, known)
		switch {
		case p.status == "paid" && reasons.always():
			f.add("A3", "serial %s is paid in spite of %v", serial, reasons)
		case p.status == "declined" && !reasons[p.reason]:
			f.add("A3", "serial %s is declined: %s, and there is %v", serial, p.reason, reasons)
		}
	}
}

// reasons are what can be said against an order.
type reasons map[order.Reason]bool

// against looks at the accounts of an order.
func against(o order.Order, known map[order.Account]account) reasons {
	payer, knownPayer := known[o.Payer]
	payee, knownPayee := known[o.Payee]
	all := reasons{
		order.SameAccount:       o.Payer == o.Payee,
		order.UnknownAccount:    !knownPayer || !knownPayee,
		order.ClosedAccount:     payer.closed || payee.closed,
		order.InsufficientFunds: o.Payer == poor,
		order.BalanceLimit:      o.Payee == full,
	}
	all[order.CurrencyMismatch] = !all[order.UnknownAccount] &&
		(payer.currency != o.Amount.Currency || payee.currency != o.Amount.Currency)
	return all
}

// always says whether there is a reason that does not depend on what the accounts hold.
func (r reasons) always() bool {
	return r[order.SameAccount] || r[order.UnknownAccount] || r[order.ClosedAccount] ||
		r[order.CurrencyMismatch]
}
