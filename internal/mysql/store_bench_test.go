package mysql

import (
	"crypto/rand"
	"fmt"
	"testing"

	"example.com/payment/internal/payment"
)

// BenchmarkStore_Commit commits full batches of new orders of 1,000 payers and 100 payees, with
// nobody else at the tables.
func BenchmarkStore_Commit(b *testing.B) {
	const batch, payers, payees = 400, 1000, 100
	f := newDatabase(b)
	names := func(prefix string, n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprint(prefix, i))
		}
		return names
	}
	rich, poor := names("payer-", payers), names("payee-", payees)
	f.accounts(b, 1_000_000_000, rich...)
	f.accounts(b, 0, poor...)
	store, number := f.store(b), 0
	for b.Loop() {
		reqs := make([]payment.Request, batch)
		for i := range reqs {
			reqs[i] = requestFor("PAY_"+rand.Text()[:24], fmt.Sprint("ORDERID_", number),
				rich[number*7%payers], poor[number%payees], 100)
			number++
		}
		if _, err := store.Commit(b.Context(), reqs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(number), "us/payment")
}
