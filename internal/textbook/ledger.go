package textbook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Columns that hold a token. The second is not part of the schema: see Schema.
const (
	serialColumn = "serial_no"
	tokenColumn  = "message_id"
)

// Schema is what the administrator must do to the tables for an order of writes that they would
// not allow, and empty for one that they do.
func Schema(o Order) string {
	const noKeys = `ALTER TABLE payments DROP PRIMARY KEY, ADD KEY (serial_no),
  DROP KEY uq_payments_paid_order, ADD KEY (paid_order_id);
ALTER TABLE ledger_entries DROP PRIMARY KEY, ADD KEY (account_id, serial_no);`
	switch o {
	case CheckThenAct:
		return noKeys
	case MessageID:
		return noKeys + `
ALTER TABLE payments ADD COLUMN message_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
  ADD UNIQUE KEY (message_id);`
	case Right, CacheFirst:
	}
	return ""
}

// errTaken says that the token's unique key was taken by somebody else.
var errTaken = errors.New("textbook: the token is taken")

// Ledger keeps payments with gorm, as its documentation shows it. It is safe for concurrent use.
type Ledger struct {
	db        *gorm.DB
	committed func(order.Serial)
}

// Database says where the ledger is.
type Database struct {
	Address, Name, User, Password string
	Connections                   int // at most
	// ReadTimeout ends the wait for one answer. Tutorials leave it out; then a COMMIT whose
	// answer never comes is waited for without end.
	ReadTimeout time.Duration
	// AsText sends statements with their values in them, so that a proxy on the way can tell them
	// apart. Without it gorm prepares each, which takes three round trips.
	AsText bool
	// Committed, if set, is told of each payment right after its COMMIT was answered. It is called
	// by many at once.
	Committed func(order.Serial)
}

// OpenLedger opens a pool.
func OpenLedger(at Database) (*Ledger, error) {
	dsn := mysql.NewConfig()
	dsn.Net, dsn.Addr, dsn.DBName = "tcp", at.Address, at.Name
	dsn.User, dsn.Passwd = at.User, at.Password
	dsn.ParseTime, dsn.ReadTimeout, dsn.InterpolateParams = true, at.ReadTimeout, at.AsText
	dsn.Logger = &mysql.NopLogger{}
	db, err := gorm.Open(gormmysql.New(gormmysql.Config{DSNConfig: dsn}),
		&gorm.Config{Logger: logger.Discard}) // its own prints every value
	if err != nil {
		return nil, fmt.Errorf("textbook: open: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(at.Connections)
	pool.SetMaxIdleConns(at.Connections)
	if at.Committed == nil {
		at.Committed = func(order.Serial) {}
	}
	return &Ledger{db: db, committed: at.Committed}, nil
}

// Close closes the pool.
func (l *Ledger) Close() error {
	pool, err := l.db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}

// row is a row of payments.
type row struct {
	SerialNo           string
	OrderID            string
	PaidOrderID        *string
	Payer              string
	Payee              string
	AmountMinor        int64
	Currency           string
	Status             string
	Reason             string
	Fingerprint        []byte
	FingerprintVersion int
	CreatedAt          time.Time
}

// tokenRow is a row that has the message ID for its token.
type tokenRow struct {
	Row       row `gorm:"embedded"`
	MessageID string
}

// entry is a row of ledger_entries.
type entry struct {
	SerialNo    string
	AccountID   string
	AmountMinor int64
	CreatedAt   time.Time
}

// find looks a token up in the database.
func (l *Ledger) find(
	ctx context.Context, column string, token idem.Key,
) (first record, found bool, err error) {
	var r row
	err = l.db.WithContext(ctx).Table("payments").
		Where(column+" = ?", string(token)).First(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, unavailable(err)
	}
	var outcome order.Outcome
	if err := outcome.UnmarshalText([]byte(r.Status)); err != nil {
		return record{}, false, err
	}
	return record{
		Key: token, DecidedAt: r.CreatedAt,
		Fingerprint: idem.Fingerprint{Version: r.FingerprintVersion, Sum: [32]byte(r.Fingerprint)},
		Answer:      payment.Answer{Outcome: outcome, Reason: order.Reason(r.Reason)},
	}, true, nil
}

// errPoor rolls a payment back that the payer cannot make.
var errPoor = errors.New("textbook: insufficient funds")

// pay moves the money and stores the payment, in one transaction. What the payer cannot pay is
// stored as declined. The message ID is stored beside it, unless it is empty.
func (l *Ledger) pay(
	ctx context.Context, req payment.Request, messageID string,
) (record, error) {
	r := newRecord(req, time.Now().UTC().Truncate(time.Microsecond))
	err := l.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := insert(tx, req.Payload, r, messageID); err != nil {
			return err
		}
		return move(tx, req.Payload, r.DecidedAt)
	})
	if errors.Is(err, errPoor) {
		r.Answer = payment.Answer{Outcome: order.Declined, Reason: order.InsufficientFunds}
		err = insert(l.db.WithContext(ctx), req.Payload, r, messageID)
	}
	var refused *mysql.MySQLError
	if errors.As(err, &refused) && refused.Number == 1062 {
		return record{}, errTaken
	}
	if err == nil {
		l.committed(req.Payload.Serial)
	}
	return r, unavailable(err)
}

// insert stores the payment. Where the schema is whole, this is what can happen only once.
func insert(tx *gorm.DB, o order.Order, r record, messageID string) error {
	payment := row{
		SerialNo: string(o.Serial), OrderID: string(o.ID),
		Payer: string(o.Payer), Payee: string(o.Payee),
		AmountMinor: o.Amount.Minor, Currency: string(o.Amount.Currency),
		Status: r.Answer.Outcome.String(), Reason: string(r.Answer.Reason),
		Fingerprint: r.Fingerprint.Sum[:], FingerprintVersion: r.Fingerprint.Version,
		CreatedAt: r.DecidedAt,
	}
	if r.Answer.Outcome == order.Paid {
		payment.PaidOrderID = (*string)(&o.ID)
	}
	if messageID != "" {
		return tx.Table("payments").Create(&tokenRow{payment, messageID}).Error
	}
	return tx.Table("payments").Create(&payment).Error
}

// move writes the two entries and changes the two balances.
func move(tx *gorm.DB, o order.Order, at time.Time) error {
	entries := []entry{
		{string(o.Serial), string(o.Payer), -o.Amount.Minor, at},
		{string(o.Serial), string(o.Payee), o.Amount.Minor, at},
	}
	if err := tx.Table("ledger_entries").Create(entries).Error; err != nil {
		return err
	}
	paid := tx.Table("accounts").
		Where("account_id = ? AND balance_minor >= ?", string(o.Payer), o.Amount.Minor).
		Update("balance_minor", gorm.Expr("balance_minor - ?", o.Amount.Minor))
	if paid.Error != nil {
		return paid.Error
	}
	if paid.RowsAffected == 0 {
		return errPoor
	}
	return tx.Table("accounts").Where("account_id = ?", string(o.Payee)).
		Update("balance_minor", gorm.Expr("balance_minor + ?", o.Amount.Minor)).Error
}

// unavailable makes callers wait for a server that is away, instead of giving the message up.
func unavailable(err error) error {
	var refused *mysql.MySQLError
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return fmt.Errorf("%w: %w", idem.ErrUnavailable, err)
}
