package mysql

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"example.com/payment/internal/order"
)

// OpenAccounts opens accounts with an opening balance each, all or none; an account that exists
// already is left as it is. It needs the migration user's rights: the consumer cannot bring
// money into the ledger. It returns how many were new, and which have another currency.
func (db *DB) OpenAccounts(
	ctx context.Context, ids []order.Account, opening order.Money,
) (opened int64, other []order.Account, err error) {
	err = db.transact(ctx, readCommitted(), func(tx *gorm.DB) error {
		return inChunks(ids, func(chunk []order.Account) error {
			rows := newRows(4, len(chunk))
			for _, id := range chunk {
				rows.add(string(id), string(opening.Currency), opening.Minor, opening.Minor)
			}
			affected, err := rows.exec(tx, "INSERT INTO accounts "+
				"(account_id, currency, opening_minor, balance_minor) VALUES ",
				" ON DUPLICATE KEY UPDATE account_id = VALUES(account_id)")
			if opened += affected; err != nil {
				return err
			}
			var found []order.Account
			err = tx.Raw("SELECT account_id FROM accounts WHERE account_id IN ? AND currency <> ?",
				chunk, string(opening.Currency)).Scan(&found).Error
			other = append(other, found...)
			return err
		})
	})
	if err != nil {
		return 0, nil, explainToOwner(fmt.Sprintf("open %d accounts", len(ids)), err)
	}
	return opened, other, nil
}
