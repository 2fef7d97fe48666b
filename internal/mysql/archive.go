package mysql

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

// Limits of one step of the archive: how many rows it looks at, and so at most moves, in one
// transaction. It stays far below the length from which IN lists lock whole tables.
const (
	MaxArchiveBatch     = 900
	DefaultArchiveBatch = 200
)

// Archive moves what is old out of the way, in small transactions, while consumers work. It needs
// the rights of archive_grants.sql and no others. Several at once do no harm: of two that move the
// same rows one loses, and looks again.
//
// A crash between two steps leaves everything in its place, a crash inside of one too: the copy and
// the removal are one transaction.
type Archive struct {
	db     *DB
	before time.Time
	batch  int
}

// NewArchive returns an Archive of what is older than a time. The batch is 1 to MaxArchiveBatch
// rows.
func NewArchive(db *DB, before time.Time, batch int) *Archive {
	return &Archive{db: db, before: stamp(before), batch: min(max(batch, 1), MaxArchiveBatch)}
}

// Moved says what one step did.
type Moved struct {
	// Rows were moved, of Seen that were looked at.
	Rows, Seen int64
	// Done says that the end of the table is reached.
	Done bool
}

// errMoved says that what was copied is not what was removed, so that the transaction is undone.
var errMoved = errors.New("other rows were copied than removed")

// EntryKey is the primary key of an entry; the zero value is before all of them.
type EntryKey struct{ AccountID, SerialNo string }

// Entries moves old entries. It goes through the table in the order of its primary key, from after
// a key; an index on the time would have to be written with every payment. It returns the key to go
// on from. The entries of a payment need not move together: whoever reads them reads both tables.
func (a *Archive) Entries(
	ctx context.Context, after EntryKey,
) (next EntryKey, moved Moved, err error) {
	var rows []struct {
		EntryKey
		CreatedAt time.Time
	}
	err = a.db.gorm.WithContext(ctx).Raw(`SELECT account_id, serial_no, created_at
FROM ledger_entries FORCE INDEX (PRIMARY)
WHERE account_id > ? OR (account_id = ? AND serial_no > ?)
ORDER BY account_id, serial_no LIMIT ?`,
		after.AccountID, after.AccountID, after.SerialNo, a.batch).Scan(&rows).Error
	if err != nil {
		return after, moved, explain("read old entries", err)
	}
	next = after
	var old [][]any
	for _, r := range rows {
		next = r.EntryKey
		if r.CreatedAt.Before(a.before) {
			old = append(old, []any{r.AccountID, r.SerialNo})
		}
	}
	moved.Done, moved.Seen = len(rows) < a.batch, int64(len(rows))
	moved.Rows, err = move(ctx, a.db, old, source{
		table: "ledger_entries", where: "(account_id, serial_no) IN ?",
		columns: "serial_no, account_id, amount_minor, created_at",
	})
	return next, moved, err
}

// quarantineColumns are what a message in quarantine has.
const quarantineColumns = "id, topic, content_hash, kind, reason, detail, serial_no, " +
	"message_key, message_id, broker, queue_id, queue_offset, attempt, body, body_bytes, " +
	"deliveries, state, first_seen_at, last_seen_at, resolved_at"

// Quarantine moves messages that were replayed or discarded long ago, from after an ID. Open ones
// stay, however old. A message whose content comes again later is a new one.
func (a *Archive) Quarantine(
	ctx context.Context, after int64,
) (next int64, moved Moved, err error) {
	var rows []struct {
		ID         int64
		State      State
		LastSeenAt time.Time
		ResolvedAt *time.Time
	}
	err = a.db.gorm.WithContext(ctx).Raw(`SELECT id, state, last_seen_at, resolved_at
FROM quarantine WHERE id > ? ORDER BY id LIMIT ?`, after, a.batch).Scan(&rows).Error
	if err != nil {
		return after, moved, explain("read old messages in quarantine", err)
	}
	next = after
	var old []int64
	for _, r := range rows {
		next = r.ID
		if r.State != StateOpen && r.LastSeenAt.Before(a.before) &&
			r.ResolvedAt != nil && r.ResolvedAt.Before(a.before) {
			old = append(old, r.ID)
		}
	}
	moved.Done, moved.Seen = len(rows) < a.batch, int64(len(rows))
	// Locked and looked at again inside: a message that came back meanwhile is open.
	moved.Rows, err = move(ctx, a.db, old, source{
		table: "quarantine", where: "id IN ? AND state <> 'open'", columns: quarantineColumns,
	})
	return next, moved, err
}

// source is a table that rows are moved from, and which.
type source struct{ table, where, columns string }

// move copies rows into the table's archive and removes them, both or neither.
func move[K any](ctx context.Context, db *DB, keys []K, from source) (moved int64, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err = db.untilItWins(ctx, func() error {
		return db.transact(ctx, readCommitted(), func(tx *gorm.DB) error {
			moved, err = from.move(tx, keys)
			return err
		})
	})
	if err != nil {
		return 0, explain("move rows of "+from.table+" to the archive", err)
	}
	return moved, nil
}

// move is the body of the transaction. The rows are locked first, by their key: a message in
// quarantine could be counted, and reopened, between the copy and the removal.
func (f source) move(tx *gorm.DB, keys any) (int64, error) {
	var locked []int
	err := tx.Raw("SELECT 1 FROM "+f.table+" FORCE INDEX (PRIMARY) WHERE "+f.where+" FOR UPDATE",
		keys).Scan(&locked).Error
	if err != nil {
		return 0, err
	}
	copied := tx.Exec("INSERT INTO "+f.table+"_archive ("+f.columns+") SELECT "+f.columns+
		" FROM "+f.table+" FORCE INDEX (PRIMARY) WHERE "+f.where, keys)
	if copied.Error != nil {
		return 0, copied.Error
	}
	removed := tx.Exec("DELETE FROM "+f.table+" WHERE "+f.where, keys)
	if removed.Error != nil {
		return 0, removed.Error
	}
	if n := int64(len(locked)); copied.RowsAffected != n || removed.RowsAffected != n {
		return 0, errMoved
	}
	return removed.RowsAffected, nil
}
