package mysql

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-sql-driver/mysql"
)

// epochLease is how long a reading of the ledger epoch is good for. While the database is away
// longer than this, nobody knows whether it will come back as it was, and the cache is not asked.
const epochLease = 5 * time.Second

type epochReading struct {
	epoch string
	at    time.Time
}

// learned keeps a reading, unless one that was asked for later came in first.
func (db *DB) learned(r epochReading) {
	for {
		known := db.epoch.Load()
		if known != nil && known.at.After(r.at) || db.epoch.CompareAndSwap(known, &r) {
			return
		}
	}
}

// Epoch returns the ledger epoch as it was last read. It is not ok when there was no reading
// within the last few seconds: then no cached answer can be vouched for.
func (db *DB) Epoch() (epoch string, ok bool) {
	r := db.epoch.Load()
	if r == nil || r.epoch == "" || time.Since(r.at) > epochLease {
		return "", false
	}
	return r.epoch, true
}

// WatchEpoch reads the ledger epoch once a second until ctx ends, so that a replaced epoch is
// seen also by a process whose connections all live on.
func (db *DB) WatchEpoch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		// A failure is not reported: the lease runs out, and whoever needs the database reports it.
		_ = db.RefreshEpoch(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// RefreshEpoch reads the ledger epoch now.
func (db *DB) RefreshEpoch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.ReadTimeout)
	defer cancel()
	asked := time.Now()
	var epoch string
	err := db.gorm.WithContext(ctx).
		Raw("SELECT epoch FROM ledger_epoch WHERE id = 1").Row().Scan(&epoch)
	if err != nil {
		return explain("read ledger epoch", err)
	}
	db.learned(epochReading{epoch: epoch, at: asked})
	return nil
}

// ReplaceEpoch gives the ledger a new random epoch, which turns every cached answer into a miss.
// It needs the migration user's rights.
func (db *DB) ReplaceEpoch(ctx context.Context) (epoch string, err error) {
	epoch = rand.Text()
	res := db.gorm.WithContext(ctx).Exec(
		"UPDATE ledger_epoch SET epoch = ?, replaced_at = ? WHERE id = 1", epoch, now())
	if res.Error != nil {
		return "", explain("replace ledger epoch", res.Error)
	}
	if res.RowsAffected != 1 {
		return "", errors.New("mysql: ledger_epoch has no row; run payment-consumer migrate")
	}
	return epoch, nil
}

// readEpoch reads the epoch on a bare connection. A database without the table is left to the
// schema check, which says what is missing; the epoch is then unknown.
func (db *DB) readEpoch(ctx context.Context, conn driver.Conn) error {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return fmt.Errorf("mysql: driver connection %T cannot query", conn)
	}
	asked := time.Now()
	rows, err := queryer.QueryContext(ctx, "SELECT epoch FROM ledger_epoch WHERE id = 1", nil)
	var reply *mysql.MySQLError
	if errors.As(err, &reply) {
		db.learned(epochReading{at: asked}) // known to be unknown
		return nil
	}
	if err != nil {
		return err
	}
	row := make([]driver.Value, 1)
	err = rows.Next(row)
	if closing := rows.Close(); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, io.EOF):
		db.learned(epochReading{at: asked}) // known to be unknown
		return nil
	case err != nil:
		return err
	}
	db.learned(epochReading{epoch: fmt.Sprintf("%s", row[0]), at: asked})
	return nil
}

// now is the clock of the rows that the program stamps.
func now() time.Time { return stamp(time.Now()) }

// stamp makes a time equal to what comes back from its column: in UTC, to the microsecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
