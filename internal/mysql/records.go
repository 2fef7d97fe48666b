package mysql

import (
	"database/sql"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// recordRow is a row of payments as a record needs it.
type recordRow struct {
	SerialNo           string
	OrderID            string
	Status             string
	Reason             string
	FirstSerial        *string
	FirstAt            *time.Time
	Fingerprint        []byte
	FingerprintVersion int
	CreatedAt          time.Time
}

const selectRecords = `SELECT p.serial_no, p.order_id, p.status, p.reason, p.first_serial,
  f.created_at AS first_at, p.fingerprint, p.fingerprint_version, p.created_at
FROM payments p LEFT JOIN payments f ON f.serial_no = p.first_serial WHERE `

// What records are looked for by; each has a unique key.
const (
	bySerial    = "p.serial_no"
	byPaidOrder = "p.paid_order_id"
)

// readRecords calls keep with each row whose column is one of these values.
func readRecords[V ~string](
	tx *gorm.DB, column string, values []V, keep func(recordRow),
) error {
	return selectIn(tx, selectRecords+column, values, "", func(rows *sql.Rows) error {
		var r recordRow
		err := rows.Scan(&r.SerialNo, &r.OrderID, &r.Status, &r.Reason, &r.FirstSerial,
			&r.FirstAt, &r.Fingerprint, &r.FingerprintVersion, &r.CreatedAt)
		if err != nil {
			return err
		}
		keep(r)
		return nil
	})
}

// unreadable is the version of a record whose row says something that this program does not know.
// Whoever asks for it gets a retry, as for any version that is unknown, and nobody else does.
const unreadable = -1

// record checks what is stored on its way back into types that cannot be wrong.
func (r recordRow) record() payment.Record {
	outcome, err := parseStatus(r.Status)
	if err != nil || len(r.Fingerprint) != 32 {
		return payment.Record{
			Key: idem.Key(r.SerialNo), Fingerprint: idem.Fingerprint{Version: unreadable},
		}
	}
	answer := payment.Answer{Outcome: outcome, Reason: order.Reason(r.Reason)}
	if r.FirstSerial != nil {
		answer.First = order.Serial(*r.FirstSerial)
	}
	if r.FirstAt != nil {
		answer.FirstAt = *r.FirstAt
	}
	return payment.Record{
		Key: idem.Key(r.SerialNo),
		Fingerprint: idem.Fingerprint{
			Version: r.FingerprintVersion, Sum: [32]byte(r.Fingerprint)},
		Answer:    answer,
		DecidedAt: r.CreatedAt,
	}
}

func parseStatus(s string) (order.Outcome, error) {
	var outcome order.Outcome
	if err := outcome.UnmarshalText([]byte(s)); err != nil {
		return 0, err
	}
	return outcome, nil
}
