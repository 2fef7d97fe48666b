package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/go-sql-driver/mysql"
)

// ledger is the lab's database, read past the page, the lab and payment-consumer.
type ledger struct{ db *sql.DB }

// rows counts what the database holds.
type rows struct {
	paid, declined, serials int // payments, and the serial numbers among all of them
	entries                 int // of the accounts
	conflicts, rejected     int // in quarantine
	open                    int // of these
}

func openLedger(env map[string]string) (*ledger, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", env["PAYMENT_MYSQL_ADDRESS"]
	config.DBName = env["PAYMENT_MYSQL_DATABASE"]
	config.User, config.Passwd = env["PAYMENT_MYSQL_USER"], env["PAYMENT_MYSQL_PASSWORD"]
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	l := &ledger{db: sql.OpenDB(connector)}
	l.db.SetMaxIdleConns(0) // the lab makes the database anew, and kills its server
	return l, nil
}

const countRows = `
SELECT COUNT(IF(status = 'paid', 1, NULL)), COUNT(IF(status = 'declined', 1, NULL)),
  COUNT(DISTINCT serial_no),
  (SELECT COUNT(*) FROM ledger_entries),
  (SELECT COUNT(*) FROM quarantine WHERE kind = 'conflict'),
  (SELECT COUNT(*) FROM quarantine WHERE kind = 'rejected'),
  (SELECT COUNT(*) FROM quarantine WHERE state = 'open')
FROM payments`

func (l *ledger) count(ctx context.Context) (r rows, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = l.db.QueryRowContext(ctx, countRows).Scan(&r.paid, &r.declined, &r.serials, &r.entries,
		&r.conflicts, &r.rejected, &r.open)
	return r, err
}

// since is what has come since an earlier count.
func (r rows) since(before rows) rows {
	return rows{
		paid: r.paid - before.paid, declined: r.declined - before.declined,
		serials: r.serials - before.serials, entries: r.entries - before.entries,
		conflicts: r.conflicts - before.conflicts, rejected: r.rejected - before.rejected,
		open: r.open - before.open,
	}
}

// payments are n payments that are as they must be: a serial and two entries each.
func payments(n int) rows { return rows{paid: n, serials: n, entries: 2 * n} }

// changes does something, and wants it to have changed the database in this way.
func (v *visit) changes(want rows, do func() error) error {
	got, err := v.changed(do)
	if err == nil && got != want {
		err = fmt.Errorf("the database has changed by %+v, want %+v", got, want)
	}
	return err
}

// changed does something, and returns how the database has changed.
func (v *visit) changed(do func() error) (rows, error) {
	before, err := v.ledger.count(v.ctx)
	if err != nil {
		return rows{}, err
	}
	if err := do(); err != nil {
		return rows{}, err
	}
	after, err := v.ledger.count(v.ctx)
	return after.since(before), err
}
