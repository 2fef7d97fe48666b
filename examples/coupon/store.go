package coupon

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/idem"
)

// Store keeps coupons and requests in MySQL or MariaDB. It is safe for concurrent use. Its guard's
// batches must be under 1,000 requests: with longer lists MariaDB scans, and locks, whole tables.
type Store struct {
	db *gorm.DB

	mu     sync.Mutex
	epoch  string
	readAt time.Time
}

var _ idem.Store[Claim, Answer] = (*Store)(nil)

// NewStore returns a store on a database that Open has opened.
func NewStore(db *gorm.DB) *Store { return &Store{db: db} }

// token is a row of coupon_requests.
type token struct {
	RequestID          string
	Campaign           string
	UserID             string
	Coupon             string
	Refused            Reason
	FirstRequest       string
	Fingerprint        []byte
	FingerprintVersion int
	DecidedAt          time.Time
}

// callTimeout bounds one call of the store, all its attempts included.
const callTimeout = 20 * time.Second

// Find is step 2. What it returns is on the disk, and not only visible: InnoDB shows a commit
// before it is written, and a crash may take back what an answer was given from. Commits are
// written in their order, so one of our own after the lookup brings all that it saw to the disk.
func (s *Store) Find(ctx context.Context, keys []idem.Key) (map[idem.Key]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var tokens []token
	err := s.db.WithContext(ctx).Table("coupon_requests").
		Where("request_id IN ?", keys).Find(&tokens).Error
	if err == nil && len(tokens) > 0 {
		err = s.db.WithContext(ctx).
			Exec("UPDATE coupon_state SET passed = passed + 1 WHERE id = 1").Error
	}
	if err != nil {
		return nil, explain("find requests", err)
	}
	found := make(map[idem.Key]Record, len(tokens))
	for _, t := range tokens {
		r := Record{
			Key:       idem.Key(t.RequestID),
			Answer:    Answer{Coupon: t.Coupon, Refused: t.Refused, First: t.FirstRequest},
			DecidedAt: t.DecidedAt, Fingerprint: idem.Fingerprint{Version: t.FingerprintVersion},
		}
		copy(r.Fingerprint.Sum[:], t.Fingerprint)
		found[r.Key] = r
	}
	return found, nil
}

// Commit is step 3: coupons and tokens in one transaction. One that lost to another transaction
// begins from scratch; a lost unique key goes back to the guard, as the answer is then stored.
func (s *Store) Commit(ctx context.Context, reqs []Request) ([]idem.Answer[Answer], error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	backoff := idem.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}
	for attempt := 1; ; attempt++ {
		var answers []idem.Answer[Answer]
		err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
			answers, err = decide(tx, reqs)
			return err
		}, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err == nil {
			return answers, nil
		}
		if !contended(err) || attempt == 4 || !backoff.Wait(ctx, attempt) {
			return nil, explain("issue coupons", err)
		}
	}
}

// decide is the body of the transaction, in the order that matters. The campaigns are locked first
// and in order, so that two consumers never wait for each other, and nobody else can give one of
// these users a coupon meanwhile. Then the insert of the tokens decides: their primary key is the
// request, and one that was decided since step 2 looked is refused by it, whatever it would be
// answered here. A crash anywhere in here leaves nothing.
func decide(tx *gorm.DB, reqs []Request) ([]idem.Answer[Answer], error) {
	campaigns, held, err := lock(tx, reqs)
	if err != nil {
		return nil, err
	}
	desk := NewDesk(time.Now().UTC().Truncate(time.Microsecond), campaigns, held)
	answers := make([]idem.Answer[Answer], len(reqs))
	tokens := make([]token, len(reqs))
	for i, req := range reqs {
		answers[i] = desk.Decide(req)
		r := answers[i].Record
		tokens[i] = token{
			req.Payload.RequestID, req.Payload.Campaign, req.Payload.User,
			r.Answer.Coupon, r.Answer.Refused, r.Answer.First,
			r.Fingerprint.Sum[:], r.Fingerprint.Version, r.DecidedAt,
		}
	}
	if err := tx.Table("coupon_requests").Create(tokens).Error; err != nil {
		return nil, err
	}
	for _, c := range desk.issued {
		err := tx.Exec("UPDATE coupon_campaigns SET issued = ? WHERE campaign = ?",
			c.Number, c.Campaign).Error
		if err != nil {
			return nil, err
		}
	}
	if len(desk.issued) > 0 {
		err = tx.Table("coupons").Create(desk.issued).Error
	}
	return answers, err
}

// lock locks the campaigns of requests and reads which coupons their users have. The index is
// forced: if the optimiser chose a scan instead, the lock would be on every campaign there is.
func lock(tx *gorm.DB, reqs []Request) (campaigns []Campaign, held []Coupon, err error) {
	var names, users []string
	for _, req := range reqs {
		names, users = append(names, req.Payload.Campaign), append(users, req.Payload.User)
	}
	err = tx.Raw(`SELECT campaign, total, issued FROM coupon_campaigns FORCE INDEX (PRIMARY)
WHERE campaign IN ? ORDER BY campaign FOR UPDATE`, names).Scan(&campaigns).Error
	if err == nil {
		err = tx.Raw(`SELECT campaign, user_id, number, request_id FROM coupons
WHERE campaign IN ? AND user_id IN ?`, names, users).Scan(&held).Error
	}
	return campaigns, held, err
}
