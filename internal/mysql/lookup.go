package mysql

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/order"
)

// PaymentRow is a row of payments as a person wants to see it.
type PaymentRow struct {
	SerialNo    string    `json:"serial_no"`
	OrderID     string    `json:"order_id"`
	Payer       string    `json:"payer"`
	Payee       string    `json:"payee"`
	AmountMinor int64     `json:"amount_minor"`
	Currency    string    `json:"currency"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	FirstSerial *string   `json:"first_serial,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

// EntryRow is a row of ledger_entries.
type EntryRow struct {
	AccountID   string    `json:"account_id"`
	AmountMinor int64     `json:"amount_minor"`
	CreatedAt   time.Time `json:"created_at"`
	// Archived entries were moved out of the way; they count like any other.
	Archived bool `json:"archived,omitempty"`
}

// Trace is everything that the database knows about one serial, in one snapshot.
type Trace struct {
	// Payment is nil when the serial is not decided.
	Payment *PaymentRow `json:"payment"`
	Entries []EntryRow  `json:"entries"`
	// Siblings are the other serials of the same order.
	Siblings []PaymentRow `json:"siblings"`
}

// Trace looks a serial up. Whatever is not a serial number at all is not decided.
func (db *DB) Trace(ctx context.Context, serial string) (t Trace, err error) {
	if _, err := order.ParseSerial(serial); err != nil {
		return Trace{}, nil
	}
	opts := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = db.transact(ctx, opts, func(tx *gorm.DB) error {
		var found []PaymentRow
		err := tx.Raw("SELECT * FROM payments WHERE serial_no = ?", serial).Scan(&found).Error
		if err != nil || len(found) == 0 {
			return err
		}
		t.Payment = &found[0]
		err = tx.Raw("SELECT * FROM payments WHERE order_id = ? AND serial_no <> ? "+
			"ORDER BY created_at, serial_no LIMIT 100", found[0].OrderID, serial).
			Scan(&t.Siblings).Error
		if err != nil {
			return err
		}
		return tx.Raw(`SELECT account_id, amount_minor, created_at, 0 AS archived
FROM ledger_entries WHERE serial_no = ? AND account_id IN (?, ?)
UNION ALL SELECT account_id, amount_minor, created_at, 1
FROM ledger_entries_archive WHERE serial_no = ? AND account_id IN (?, ?)
ORDER BY amount_minor`, serial, t.Payment.Payer, t.Payment.Payee,
			serial, t.Payment.Payer, t.Payment.Payee).Scan(&t.Entries).Error
	})
	if err != nil {
		return Trace{}, explain("look up serial", err)
	}
	return t, nil
}

// StatusCount is a number of payments with one status.
type StatusCount struct {
	Status string
	Count  int64
}

// CountPayments counts the payments by status.
func (db *DB) CountPayments(ctx context.Context) (map[string]int64, error) {
	var rows []StatusCount
	err := db.gorm.WithContext(ctx).
		Raw("SELECT status, COUNT(*) AS count FROM payments GROUP BY status").Scan(&rows).Error
	if err != nil {
		return nil, explain("count payments", err)
	}
	counts := make(map[string]int64, len(rows))
	for _, row := range rows {
		counts[row.Status] = row.Count
	}
	return counts, nil
}
