package payment

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

// Whatever a batch asks for: no money appears or is lost, no account goes below zero or over the
// limit, what is paid has two entries that sum to zero, and an order is paid at most once.
func TestBook_Invariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int64{0, 100, 1000, math.MaxInt64}).Draw(t, "limit")
		accounts := drawAccounts(t, limit)
		opening := make(map[order.Account]int64)
		for _, a := range accounts {
			opening[a.ID] = a.Balance
		}
		book := NewBook(at(), limit, accounts, nil)
		paid := make(map[order.ID]order.Serial)
		answers := make(map[order.Serial]idem.Answer[Answer])
		for i := range rapid.IntRange(1, 40).Draw(t, "requests") {
			req := drawRequest(t, i, limit)
			answer := book.Decide(req)
			serial := req.Payload.Serial
			answers[serial] = answer
			first, before := paid[req.Payload.ID]
			switch {
			case !before && answer.Verdict != idem.Decided:
				t.Fatalf("%s: verdict %d for an order that is not paid", serial, answer.Verdict)
			case before && answer.Verdict == idem.Decided:
				t.Fatalf("%s: order %s was paid by %s", serial, req.Payload.ID, first)
			case answer.Record.Answer.Outcome == order.Paid && !before:
				paid[req.Payload.ID] = serial
			}
		}
		checkRows(t, book, answers)
		checkBalances(t, book, accounts, opening, limit)
	})
}

func drawAccounts(t *rapid.T, limit int64) []Account {
	accounts := make([]Account, rapid.IntRange(0, 5).Draw(t, "accounts"))
	for i := range accounts {
		accounts[i] = Account{
			ID:       order.Account(fmt.Sprint("a", i)),
			Currency: rapid.SampledFrom([]order.Currency{cny, cny, cny, "USD"}).Draw(t, "currency"),
			Balance:  rapid.Int64Range(0, limit/5).Draw(t, "balance"), // so that the sum fits
			Closed:   rapid.IntRange(0, 9).Draw(t, "closed") == 0,
		}
	}
	return accounts
}

func drawRequest(t *rapid.T, i int, limit int64) Request {
	account := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprint("a", rapid.IntRange(0, 5).Draw(t, "account"))
	})
	id := fmt.Sprint("O", rapid.IntRange(0, 15).Draw(t, "order"))
	minor := rapid.Int64Range(1, max(1, limit/8)).Draw(t, "amount")
	if rapid.IntRange(0, 4).Draw(t, "boundary") == 0 {
		minor = rapid.SampledFrom([]int64{1, max(1, limit), math.MaxInt64}).Draw(t, "amount")
	}
	return transfer(fmt.Sprint("S", i), id, account.Draw(t, "payer"), account.Draw(t, "payee"),
		minor)
}

// checkRows holds what is to be written against what was answered.
func checkRows(t *rapid.T, book *Book, answers map[order.Serial]idem.Answer[Answer]) {
	entries := make(map[order.Serial][]int64)
	for _, e := range book.Entries() {
		entries[e.Serial] = append(entries[e.Serial], e.Minor)
	}
	rows := make(map[order.Serial]bool)
	for _, p := range book.Payments() {
		serial := p.Order.Serial
		sides := entries[serial]
		isPaid := p.Answer.Outcome == order.Paid
		if isPaid && (len(sides) != 2 || sides[0] != -sides[1] || sides[1] != p.Order.Amount.Minor) {
			t.Fatalf("%s is paid with entries %v", serial, sides)
		}
		if !isPaid && len(sides) != 0 {
			t.Fatalf("%s is %s with entries %v", serial, p.Answer.Outcome, sides)
		}
		if rows[serial] || answers[serial].Record != p.Record {
			t.Fatalf("%s: its row is not what was answered, or there are two", serial)
		}
		rows[serial] = true
	}
	for serial, answer := range answers {
		if wants := answer.Verdict != idem.Conflict; rows[serial] != wants {
			t.Fatalf("%s: verdict %d, has a row: %t", serial, answer.Verdict, rows[serial])
		}
	}
}

func checkBalances(
	t *rapid.T, book *Book, accounts []Account, opening map[order.Account]int64, limit int64,
) {
	sums := make(map[order.Account]int64)
	for _, e := range book.Entries() {
		sums[e.Account] += e.Minor
	}
	written := make(map[order.Account]int64)
	for _, a := range book.Balances() {
		if _, twice := written[a.ID]; twice {
			t.Fatalf("account %s is written twice", a.ID)
		}
		written[a.ID] = a.Balance
	}
	var before, after int64
	for _, a := range accounts {
		before, after = before+opening[a.ID], after+a.Balance
		if a.Balance < 0 || a.Balance > limit || a.Balance != opening[a.ID]+sums[a.ID] {
			t.Fatalf("account %s holds %d after %d and entries of %d, limit %d",
				a.ID, a.Balance, opening[a.ID], sums[a.ID], limit)
		}
		now, changed := written[a.ID] // also what came back to where it was may be written
		if changed && now != a.Balance || !changed && sums[a.ID] != 0 {
			t.Fatalf("account %s holds %d and is written as %d", a.ID, a.Balance, now)
		}
	}
	if before != after {
		t.Fatalf("%d became %d", before, after)
	}
}
