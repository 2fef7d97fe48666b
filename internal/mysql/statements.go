package mysql

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// chunkSize is the most values of one IN list. From 1,000 on MariaDB turns the list into a join,
// which reads, and so locks, the whole table.
const chunkSize = 900

// inChunks calls fn with pieces of values that are short enough for one IN list.
func inChunks[T any](values []T, fn func(chunk []T) error) error {
	for chunk := range slices.Chunk(values, chunkSize) {
		if err := fn(chunk); err != nil {
			return err
		}
	}
	return nil
}

// selectIn runs a SELECT whose head ends before a list of values, and calls scan with each row of
// the answers. It goes past gorm to the connection, as exec does, and for its reasons.
func selectIn[V ~string](
	tx *gorm.DB, head string, values []V, tail string, scan func(*sql.Rows) error,
) error {
	return inChunks(values, func(chunk []V) (err error) {
		list := make([]any, len(chunk))
		for i, value := range chunk {
			list[i] = string(value)
		}
		statement := head + " IN (?" + strings.Repeat(",?", len(chunk)-1) + ")" + tail
		ctx, span := statementSpan(tx.Statement.Context, statement, "")
		count := int64(0)
		defer func() { endStatement(span, count, err) }()
		rows, err := tx.Statement.ConnPool.QueryContext(ctx, statement, list...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // an error of reading is returned by rows.Err
		for ; rows.Next(); count++ {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// lockAccounts locks the accounts of all requests in the order of their IDs, so that two
// transactions never wait for each other. The index is forced: if the optimiser chose a scan
// instead, the lock would be on every account there is. Without wait, accounts that another session
// has locked are left out and named, and with them those that do not exist: one may just be opened.
func lockAccounts(
	tx *gorm.DB, reqs []payment.Request, wait bool,
) (accounts []payment.Account, locked map[order.Account]bool, err error) {
	ids := accountsOf(reqs)
	head := `SELECT account_id, currency, balance_minor, closed
FROM accounts FORCE INDEX (PRIMARY) WHERE account_id`
	tail := " ORDER BY account_id FOR UPDATE"
	if !wait {
		tail += " SKIP LOCKED"
	}
	err = selectIn(tx, head, ids, tail, func(rows *sql.Rows) error {
		accounts = append(accounts, payment.Account{})
		a := &accounts[len(accounts)-1]
		// Not parsed: an account keeps a currency that its country has withdrawn.
		return rows.Scan((*string)(&a.ID), (*string)(&a.Currency), &a.Balance, &a.Closed)
	})
	if err != nil || wait {
		return accounts, nil, err
	}
	locked = make(map[order.Account]bool)
	for _, id := range ids {
		locked[order.Account(id)] = true
	}
	for _, account := range accounts {
		delete(locked, account.ID)
	}
	return accounts, locked, nil
}

// accountsOf are the accounts that requests name, each once and in the order of the column's
// collation, which is that of bytes.
func accountsOf(reqs []payment.Request) []string {
	ids := make([]string, 0, 2*len(reqs))
	for _, req := range reqs {
		ids = append(ids, string(req.Payload.Payer), string(req.Payload.Payee))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// findPaid returns the payments of those orders that are paid already. Requests for the same
// order and payer are in line behind the account's lock, so this sees what the one before it
// committed; for what it cannot see the unique key on paid_order_id decides.
func findPaid(tx *gorm.DB, reqs []payment.Request) (map[order.ID]payment.Record, error) {
	ids := make([]string, len(reqs))
	for i, req := range reqs {
		ids[i] = string(req.Payload.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)

	paid := make(map[order.ID]payment.Record)
	err := readRecords(tx, byPaidOrder, ids, func(row recordRow) {
		paid[order.ID(row.OrderID)] = row.record()
	})
	return paid, err
}

func insertPayments(tx *gorm.DB, payments []payment.Payment) error {
	rows := newRows(13, len(payments))
	for i := range payments {
		p := &payments[i]
		o := &p.Order
		var paidOrder, first *string
		if p.Answer.Outcome == order.Paid {
			paidOrder = (*string)(&o.ID)
		}
		if p.Answer.First != "" {
			first = (*string)(&p.Answer.First)
		}
		rows.add(string(o.Serial), string(o.ID), paidOrder, string(o.Payer), string(o.Payee),
			o.Amount.Minor, string(o.Amount.Currency), p.Answer.Outcome.String(),
			string(p.Answer.Reason), first,
			p.Fingerprint.Sum[:], p.Fingerprint.Version, p.DecidedAt)
	}
	_, err := rows.exec(tx, `INSERT INTO payments (serial_no, order_id, paid_order_id, payer, payee,
  amount_minor, currency, status, reason, first_serial, fingerprint, fingerprint_version,
  created_at) VALUES `, "")
	return err
}

func insertEntries(tx *gorm.DB, entries []payment.Entry) error {
	rows := newRows(4, len(entries))
	for _, e := range entries {
		rows.add(string(e.Serial), string(e.Account), e.Minor, e.At)
	}
	_, err := rows.exec(tx,
		"INSERT INTO ledger_entries (serial_no, account_id, amount_minor, created_at) VALUES ", "")
	if classify(err) == classDuplicate {
		// Nobody else can have won a race here, for the serial was free: entries without their
		// payment are in the way. Another lookup would not find why, so only this request stops.
		return fmt.Errorf("entries without a payment: %w", idem.ErrContent)
	}
	return err
}

// writeBalances writes what the locked accounts must now hold. The rows exist and are locked, so
// the insert always becomes the update; differences instead of balances would not work, because
// the server checks the difference against the CHECK of the balance.
func writeBalances(tx *gorm.DB, accounts []payment.Account) error {
	rows := newRows(3, len(accounts))
	for _, a := range accounts {
		rows.add(string(a.ID), string(a.Currency), a.Balance)
	}
	_, err := rows.exec(tx, "INSERT INTO accounts (account_id, currency, balance_minor) VALUES ",
		" ON DUPLICATE KEY UPDATE balance_minor = VALUES(balance_minor)")
	return err
}

// rows collects the values of one INSERT of many rows.
type rows struct {
	tuple  string
	values []any
	count  int
}

func newRows(columns, capacity int) *rows {
	return &rows{
		tuple:  "(?" + strings.Repeat(",?", columns-1) + ")",
		values: make([]any, 0, columns*capacity),
	}
}

func (r *rows) add(values ...any) {
	r.values = append(r.values, values...)
	r.count++
}

// exec runs the statement, or nothing if there are no rows. It goes past gorm to the transaction's
// connection: gorm would read the statement byte by byte and look at each of its thousands of
// values, to put a question mark where there is one.
func (r *rows) exec(tx *gorm.DB, head, tail string) (affected int64, err error) {
	if r.count == 0 {
		return 0, nil
	}
	statement := head + strings.Repeat(r.tuple+",", r.count-1) + r.tuple + tail
	ctx, span := statementSpan(tx.Statement.Context, statement, "")
	defer func() { endStatement(span, affected, err) }()
	result, err := tx.Statement.ConnPool.ExecContext(ctx, statement, r.values...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
