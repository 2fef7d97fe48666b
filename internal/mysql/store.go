package mysql

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Store keeps payments. It implements steps 2 and 3 of the guard and is safe for concurrent use.
type Store struct {
	db      *DB
	limit   int64
	timeout time.Duration
	// looks says that transactions look for orders that are paid before they decide. The last one
	// that had to is followed by others that do.
	looks atomic.Bool
}

var _ idem.Store[order.Order, payment.Answer] = (*Store)(nil)

// NewStore returns a store in which no account may come to hold more than limit minor units.
func NewStore(db *DB, limit int64) *Store {
	return &Store{db: db, limit: limit, timeout: 20 * time.Second}
}

// Find returns what is decided about these serials, outside any transaction. It is on the server's
// disk: the answers that are given from it, and cached, outlive a crash of the database.
func (s *Store) Find(
	ctx context.Context, keys []idem.Key,
) (map[idem.Key]payment.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found := make(map[idem.Key]payment.Record, len(keys))
	err := readRecords(s.db.gorm.WithContext(ctx), bySerial, keys, func(row recordRow) {
		found[idem.Key(row.SerialNo)] = row.record()
	})
	if err != nil {
		return nil, explain("find payments", err)
	}
	if len(found) > 0 {
		if err := s.db.passBarrier(ctx); err != nil {
			return nil, explain("make sure of payments that were found", err)
		}
	}
	failpoint.Hit(failpoint.LookedUp)
	return found, nil
}

// Commit decides the requests and writes payments, ledger entries and balances, in one
// transaction. A transaction that lost to another one begins from scratch a few times; a lost
// unique key is handed back to the guard, because the answer is then in the database.
//
// Nearly all orders are new, so a transaction does not ask first which of them are paid: whoever
// would pay one again loses the unique key on paid_order_id. It begins anew, and asks, if it loses
// any key, or before it refuses an order, which no key would tell.
func (s *Store) Commit(
	ctx context.Context, reqs []payment.Request,
) ([]idem.Answer[payment.Answer], error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var answers []idem.Answer[payment.Answer]
	how := attempt{wait: true, look: s.looks.Load()}
	try := func() error {
		return s.db.transact(ctx, readCommitted(), func(tx *gorm.DB) (err error) {
			answers, err = s.decide(tx, reqs, how)
			return err
		})
	}
	err := s.db.untilItWins(ctx, func() error {
		err := try()
		if !how.look && (errors.Is(err, errMustLook) || classify(err) == classDuplicate) {
			how.look = true
			s.db.cfg.OnRetry("look")
			err = try()
		}
		how.wait = !isLockTimeout(err)
		return err
	})
	if err != nil {
		return nil, explain("commit payments", err)
	}
	failpoint.Hit(failpoint.Committed)
	s.looks.Store(slices.ContainsFunc(answers, needsLook))
	return answers, nil
}

// attempt says how a transaction goes about it.
type attempt struct {
	wait bool // for accounts that another session has locked
	look bool // for orders that are paid
}

// errMustLook ends a transaction that has not looked for orders that are paid, and cannot decide
// without.
var errMustLook = errors.New("mysql: an order may be paid already")

// needsLook is about every answer but a payment: without a look the unique keys do not answer for
// it. An order that was paid already is a duplicate or a conflict; one that is refused might be.
func needsLook(a idem.Answer[payment.Answer]) bool {
	newlyPaid := a.Verdict == idem.Decided && a.Record.Answer.Outcome == order.Paid
	return a.Verdict != idem.Retry && !newlyPaid
}

// decide is the body of the transaction, in the order that matters: the accounts are locked
// first, in the order of their IDs, because inserting first and locking later deadlocks as soon
// as two consumers meet on one account. A crash anywhere in here leaves nothing. Without wait,
// requests whose account somebody has locked are left undecided, and the others are decided.
func (s *Store) decide(
	tx *gorm.DB, reqs []payment.Request, how attempt,
) ([]idem.Answer[payment.Answer], error) {
	failpoint.Hit(failpoint.Begun)
	accounts, locked, err := lockAccounts(tx, reqs, how.wait)
	if err != nil {
		return nil, err
	}
	var paid map[order.ID]payment.Record
	if how.look {
		if paid, err = findPaid(tx, reqs); err != nil {
			return nil, err
		}
	}
	for _, req := range reqs {
		if first, found := paid[req.Payload.ID]; found && first.Key == req.Key {
			// Decided since step 2 looked. The unique key would refuse the same content; other
			// content takes the same way back.
			return nil, idem.ErrRaced
		}
	}
	book := payment.NewBook(now(), s.limit, accounts, paid)
	answers := make([]idem.Answer[payment.Answer], len(reqs))
	for i, req := range reqs {
		if locked[req.Payload.Payer] || locked[req.Payload.Payee] {
			answers[i] = idem.Answer[payment.Answer]{Verdict: idem.Retry, Err: errAccountLocked}
			continue
		}
		answers[i] = book.Decide(req)
	}
	if !how.look && slices.ContainsFunc(answers, needsLook) {
		return nil, errMustLook
	}
	if err := checkConflicts(tx, reqs, answers); err != nil {
		return nil, err
	}
	return answers, write(tx, book)
}

// write writes what was decided.
func write(tx *gorm.DB, book *payment.Book) error {
	if err := insertPayments(tx, book.Payments()); err != nil {
		return err
	}
	if err := insertEntries(tx, book.Entries()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.Inserted)
	if err := writeBalances(tx, book.Balances()); err != nil {
		return err
	}
	failpoint.Hit(failpoint.BeforeCommit)
	return nil
}

// errAccountLocked is why a request is not decided although its neighbours are.
var errAccountLocked = errors.New("mysql: an account stayed locked by another session")

// checkConflicts looks for conflicts whose serial was decided since step 2 looked: they repeat it,
// and no unique key will say so, because a conflict writes no row.
func checkConflicts(
	tx *gorm.DB, reqs []payment.Request, answers []idem.Answer[payment.Answer],
) error {
	var suspects []idem.Key
	for i, a := range answers {
		if a.Verdict == idem.Conflict {
			suspects = append(suspects, reqs[i].Key)
		}
	}
	return inChunks(suspects, func(chunk []idem.Key) error {
		var decided int64
		err := tx.Raw("SELECT COUNT(*) FROM payments WHERE serial_no IN ?", chunk).
			Scan(&decided).Error
		if err == nil && decided > 0 {
			err = idem.ErrRaced
		}
		return err
	})
}
