package payment

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
)

const cny = order.Currency("CNY")

// at is when the books of the tests are opened.
func at() time.Time { return time.Date(2024, 2, 29, 23, 59, 59, 1000, time.UTC) }

func transfer(serial, id, payer, payee string, minor int64) Request {
	return NewRequest(order.Order{
		ID: order.ID(id), Serial: order.Serial(serial),
		Payer: order.Account(payer), Payee: order.Account(payee),
		Amount: order.Money{Minor: minor, Currency: cny},
	})
}

func declined(reason order.Reason) Answer {
	return Answer{Outcome: order.Declined, Reason: reason}
}

// Every reason, and the amounts next to where it begins.
func TestBook_DecideReasons(t *testing.T) {
	t.Parallel()
	const top = math.MaxInt64
	paid := Answer{Outcome: order.Paid}
	poor, full := declined(order.InsufficientFunds), declined(order.BalanceLimit)
	unknown, closed := declined(order.UnknownAccount), declined(order.ClosedAccount)
	self, currency := declined(order.SameAccount), declined(order.CurrencyMismatch)
	for name, c := range map[string]reasonCase{
		"AllOfIt":       {100, [2]int64{10, 0}, 10, paid, [2]int64{0, 10}, nil},
		"OneTooMuch":    {100, [2]int64{10, 0}, 11, poor, [2]int64{10, 0}, nil},
		"Nothing":       {100, [2]int64{0, 0}, 1, poor, [2]int64{0, 0}, nil},
		"UpToTheLimit":  {100, [2]int64{10, 90}, 10, paid, [2]int64{0, 100}, nil},
		"OverTheLimit":  {100, [2]int64{11, 90}, 11, full, [2]int64{11, 90}, nil},
		"AmountOverIt":  {100, [2]int64{200, 0}, 101, full, [2]int64{200, 0}, nil},
		"NoLimitAtAll":  {top, [2]int64{1, top - 1}, 1, paid, [2]int64{0, top}, nil},
		"WouldOverflow": {top, [2]int64{2, top - 1}, 2, full, [2]int64{2, top - 1}, nil},
		"Overflow":      {top, [2]int64{top, top}, top, full, [2]int64{top, top}, nil},
		"Everything":    {top, [2]int64{top, 0}, top, paid, [2]int64{0, top}, nil},
		"LimitOfZero":   {0, [2]int64{1, 0}, 1, full, [2]int64{1, 0}, nil},
		"NoPayer": {100, [2]int64{5, 0}, 1, unknown, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Payer = "nobody" }},
		"NoPayee": {100, [2]int64{5, 0}, 1, unknown, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Payee = "nobody" }},
		"OtherCase": {100, [2]int64{5, 0}, 1, unknown, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Payee = "PAYEE" }},
		"ToItself": {100, [2]int64{5, 0}, 1, self, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Payee = "payer" }},
		"NobodyToItself": {100, [2]int64{5, 0}, 1, self, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Payer, o.Payee = "nobody", "nobody" }},
		"PayerClosed": {100, [2]int64{5, 0}, 1, closed, [2]int64{5, 0},
			func(_ *order.Order, a []Account) { a[0].Closed = true }},
		"PayeeClosed": {100, [2]int64{5, 0}, 1, closed, [2]int64{5, 0},
			func(_ *order.Order, a []Account) { a[1].Closed = true }},
		"PayerCurrency": {100, [2]int64{5, 0}, 1, currency, [2]int64{5, 0},
			func(_ *order.Order, a []Account) { a[0].Currency = "USD" }},
		"PayeeCurrency": {100, [2]int64{5, 0}, 1, currency, [2]int64{5, 0},
			func(_ *order.Order, a []Account) { a[1].Currency = "USD" }},
		"BothOther": {100, [2]int64{5, 0}, 1, currency, [2]int64{5, 0},
			func(o *order.Order, _ []Account) { o.Amount.Currency = "USD" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.check(t)
		})
	}
}

// reasonCase is one order between two accounts.
type reasonCase struct {
	limit  int64
	before [2]int64 // what payer and payee hold
	minor  int64
	want   Answer
	after  [2]int64
	change func(*order.Order, []Account)
}

func (c reasonCase) check(t *testing.T) {
	t.Helper()
	accounts := []Account{
		{ID: "payer", Currency: cny, Balance: c.before[0]},
		{ID: "payee", Currency: cny, Balance: c.before[1]},
	}
	o := transfer("S", "O", "payer", "payee", c.minor).Payload
	if c.change != nil {
		c.change(&o, accounts)
	}
	book := NewBook(at(), c.limit, accounts, nil)
	answer := book.Decide(NewRequest(o))
	if answer.Verdict != idem.Decided || answer.Record.Answer != c.want {
		t.Errorf("verdict %d, %+v, want %+v", answer.Verdict, answer.Record.Answer, c.want)
	}
	if after := [2]int64{accounts[0].Balance, accounts[1].Balance}; after != c.after {
		t.Errorf("balances %d, want %d", after, c.after)
	}
	moved := 0
	if c.want.Outcome == order.Paid {
		moved = 2
	}
	if len(book.Entries()) != moved || len(book.Balances()) != moved || len(book.Payments()) != 1 {
		t.Errorf("%d payments, %d entries, %d balances", len(book.Payments()),
			len(book.Entries()), len(book.Balances()))
	}
}

func threeAccounts(balance int64) []Account {
	return []Account{
		{ID: "a", Currency: cny, Balance: balance},
		{ID: "b", Currency: cny, Balance: balance},
		{ID: "c", Currency: cny, Balance: balance},
	}
}

// The requests of one batch are decided one after the other, as if each were alone.
func TestBook_DecideInOrder(t *testing.T) {
	t.Parallel()
	book := NewBook(at(), 1000, threeAccounts(10), nil)
	var got []Answer
	for _, req := range []Request{
		transfer("1", "O1", "a", "b", 10), // a 0, b 20
		transfer("2", "O2", "a", "b", 1),
		transfer("3", "O3", "b", "a", 15), // a 15, b 5
		transfer("4", "O2", "a", "b", 1),  // the order that was declined, under another serial
	} {
		got = append(got, book.Decide(req).Record.Answer)
	}
	want := []Answer{{Outcome: order.Paid}, declined(order.InsufficientFunds),
		{Outcome: order.Paid}, {Outcome: order.Paid}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	balances := []Account{{ID: "a", Currency: cny, Balance: 14}, {ID: "b", Currency: cny, Balance: 6}}
	if diff := cmp.Diff(balances, book.Balances()); diff != "" {
		t.Errorf("balances, each account once:\n%s", diff)
	}
	var entries int64
	for _, e := range book.Entries() {
		entries += e.Minor
		if !e.At.Equal(at()) {
			t.Errorf("entry %+v is not of the book's time", e)
		}
	}
	if entries != 0 || len(book.Entries()) != 6 || len(book.Payments()) != 4 {
		t.Errorf("%d entries with sum %d, %d payments", len(book.Entries()), entries,
			len(book.Payments()))
	}
}

func TestBook_DecideSiblings(t *testing.T) {
	t.Parallel()
	book := NewBook(at(), 1000, threeAccounts(10), nil)
	first := book.Decide(transfer("1", "O", "a", "b", 3))
	same := book.Decide(transfer("2", "O", "a", "b", 3))
	want := Answer{Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid, First: "1", FirstAt: at()}
	if same.Verdict != idem.Duplicate || same.Record.Key != "2" || same.Record.Answer != want {
		t.Errorf("same content: %+v, want a duplicate of serial 1", same)
	}
	for _, req := range []Request{
		transfer("3", "O", "a", "b", 4), transfer("4", "O", "a", "c", 3),
		transfer("5", "O", "b", "b", 3), transfer("6", "O", "nobody", "b", 3),
	} {
		got := book.Decide(req)
		if diff := cmp.Diff(idem.Answer[Answer]{Verdict: idem.Conflict, Record: first.Record},
			got); diff != "" {
			t.Errorf("serial %s: other content:\n%s", req.Key, diff)
		}
	}
	if len(book.Payments()) != 2 || len(book.Entries()) != 2 {
		t.Errorf("%d payments and %d entries, want 2 and 2: a conflict leaves no row",
			len(book.Payments()), len(book.Entries()))
	}
}

// An order that a newer program has paid is not judged by rules that this one does not know.
func TestBook_DecideUnknownFingerprint(t *testing.T) {
	t.Parallel()
	first := Record{Key: "1", Answer: Answer{Outcome: order.Paid}, DecidedAt: at(),
		Fingerprint: idem.Fingerprint{Version: 99}}
	book := NewBook(at(), 1000, threeAccounts(10), map[order.ID]Record{"O": first})
	got := book.Decide(transfer("2", "O", "a", "b", 3))
	if got.Verdict != idem.Retry || got.Err == nil || len(book.Payments()) != 0 {
		t.Errorf("%+v, want a retry that says why, and no row", got)
	}
}
