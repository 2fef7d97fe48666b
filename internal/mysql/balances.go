package mysql

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"example.com/payment/internal/order"
)

// Balance is what an account was opened with, and what it holds now.
type Balance struct {
	Account  order.Account
	Currency order.Currency
	// Opening and Minor are in minor units.
	Opening, Minor int64
}

// Totals are the sums of all accounts, of all currencies together: money only moves, so the two
// are equal whatever the currencies are.
type Totals struct {
	Accounts, Opening, Minor int64
}

// Balances reads some accounts, in the order of their IDs, and the totals of all, in one snapshot.
// It reads every account, to be looked at by people.
func (db *DB) Balances(
	ctx context.Context, ids []order.Account,
) (found []Balance, all Totals, err error) {
	opts := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = db.transact(ctx, opts, func(tx *gorm.DB) error {
		err := inChunks(ids, func(chunk []order.Account) error {
			var part []Balance
			err := tx.Raw(`SELECT account_id AS account, currency, opening_minor AS opening,
  balance_minor AS minor FROM accounts WHERE account_id IN ? ORDER BY account_id`, chunk).
				Scan(&part).Error
			found = append(found, part...)
			return err
		})
		if err != nil {
			return err
		}
		return tx.Raw(`SELECT COUNT(*) AS accounts, COALESCE(SUM(opening_minor), 0) AS opening,
  COALESCE(SUM(balance_minor), 0) AS minor FROM accounts`).Scan(&all).Error
	})
	if err != nil {
		return nil, Totals{}, explain("read balances", err)
	}
	return found, all, nil
}
