package main

import (
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/migrations"
)

// prepare brings schema, grants and accounts to the stack's database, by the same code as
// "payment-consumer migrate" and "payment-consumer accounts open".
func prepare(ctx context.Context, stack *devstack.Stack) error {
	account := stack.Migrator()
	owner := mysql.Config{
		Address:  account.Address,
		Database: account.Database,
		User:     account.User,
		Password: account.Password,
	}
	if _, _, err := mysql.Migrate(ctx, owner, migrations.Files, account.AppUser); err != nil {
		return err
	}
	err := mysql.GrantArchive(ctx, owner, migrations.Files, account.ArchiveUser)
	if err != nil {
		return err
	}
	db, err := mysql.Open(owner)
	if err != nil {
		return err
	}
	return errors.Join(openAccounts(ctx, db), db.Close())
}

// openAccounts opens what the examples and order-producer load use: 100 users and slow-1, who is
// slow in the demo, with 1,000.00 CNY each, and 10 shops with nothing.
func openAccounts(ctx context.Context, db *mysql.DB) error {
	payers := append(names("user-", 100), "slow-1")
	rich := order.Money{Minor: 100_000, Currency: "CNY"}
	if _, _, err := db.OpenAccounts(ctx, payers, rich); err != nil {
		return err
	}
	_, _, err := db.OpenAccounts(ctx, names("shop-", 10), order.Money{Currency: "CNY"})
	return err
}

func names(prefix string, count int) []order.Account {
	ids := make([]order.Account, count)
	for i := range ids {
		ids[i] = order.Account(fmt.Sprint(prefix, i+1))
	}
	return ids
}
