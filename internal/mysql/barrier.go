package mysql

import (
	"context"
	"fmt"

	"example.com/payment/internal/idem"
)

// passBarrier returns when everything that this program has read before the call is on the
// server's disk. A commit is visible to others while the server is still writing it: whoever
// answers from it at once may have told, cached and acknowledged what a crash then takes back.
// The server writes commits in their order, so a commit that was answered, of one row that is
// there for nothing else, has everything on the disk that was visible before it.
//
// It is one statement that commits by itself, so that no consumer, paused or cut off, ever keeps
// the row from others.
func (db *DB) passBarrier(ctx context.Context) error {
	return db.untilItWins(ctx, func() error {
		result := db.gorm.WithContext(ctx).
			Exec("UPDATE read_barrier SET passed = passed + 1 WHERE id = 1")
		if result.Error == nil && result.RowsAffected != 1 {
			return fmt.Errorf("read_barrier has no row: run payment-consumer migrate, or put it "+
				"back by hand: %w", idem.ErrUnavailable)
		}
		return result.Error
	})
}

// checkBarrier tries the barrier, on which every answer from a lookup waits.
func (db *DB) checkBarrier(ctx context.Context) ([]string, error) {
	return nil, db.passBarrier(ctx)
}
