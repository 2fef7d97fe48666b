package mysql

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

func TestDB_Balances(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee", "other")
	if _, err := f.store(t).Commit(t.Context(), []payment.Request{pay("S")}); err != nil {
		t.Fatal(err)
	}
	found, all, err := f.open(t).Balances(t.Context(), []order.Account{"payer", "payee", "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	moved := pay("S").Payload.Amount.Minor
	want := []Balance{
		{Account: "payee", Currency: "CNY", Opening: 1000, Minor: 1000 + moved},
		{Account: "payer", Currency: "CNY", Opening: 1000, Minor: 1000 - moved},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("balances (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Totals{Accounts: 3, Opening: 3000, Minor: 3000}, all); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
}
