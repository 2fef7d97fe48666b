package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/payment"
)

// Widths of the quarantine's columns, in bytes. What senders control is cut to fit, so that no
// content can make the insert fail and the message come back for ever.
const (
	maxReason = 64
	maxDetail = 512
	maxSerial = 64
	// MaxKey is how much of a message's key is kept, in bytes.
	MaxKey       = 255
	maxMessageID = 128
	maxBody      = 1 << 20
)

// State is where a quarantined message stands.
type State string

// States of a quarantined message.
const (
	StateOpen      State = "open"
	StateReplayed  State = "replayed"
	StateDiscarded State = "discarded"
)

// ErrNotOpen is returned when a quarantined message is not there, or is no longer as it was read.
var ErrNotOpen = errors.New("not in quarantine, or changed since it was read")

// writersOfQuarantine is how many messages are stored at once. A flood of poison must not take the
// connections that payments need.
const writersOfQuarantine = 2

// Quarantine keeps messages that could not become a payment. It is safe for concurrent use.
type Quarantine struct {
	db      *DB
	writers chan struct{}
}

var _ payment.Quarantine = (*Quarantine)(nil)

// NewQuarantine returns the quarantine of a database.
func NewQuarantine(db *DB) *Quarantine {
	return &Quarantine{db: db, writers: make(chan struct{}, writersOfQuarantine)}
}

// Put stores a message, or counts a further delivery of content that is already there: then the
// row says what was found wrong last, and is open again if it had been replayed, for it has come
// back. It returns when the row is durable.
//
// A statement that inserts or updates would do both in one, and would ask for the right to change
// every column, which is evidence.
func (q *Quarantine) Put(ctx context.Context, item payment.Quarantined) error {
	select {
	case q.writers <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-q.writers }()
	ctx, cancel := context.WithTimeout(ctx, q.db.cfg.SessionTimeout)
	defer cancel()
	err := q.db.untilItWins(ctx, func() error { return q.insert(ctx, item) })
	if classify(err) == classDuplicate {
		err = q.db.untilItWins(ctx, func() error { return q.countAgain(ctx, item) })
	}
	if err != nil {
		return explain("quarantine message", err)
	}
	failpoint.Hit(failpoint.Quarantined)
	return nil
}

func (q *Quarantine) insert(ctx context.Context, item payment.Quarantined) error {
	m, at := item.Message, stamp(item.At)
	// The first value is no []byte: gorm takes a slice behind a parenthesis for a list of values.
	return q.db.gorm.WithContext(ctx).Exec(`INSERT INTO quarantine
(kind, topic, content_hash, reason, detail, serial_no, message_key, message_id, broker,
 queue_id, queue_offset, attempt, body, body_bytes, first_seen_at, last_seen_at)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		string(item.Kind), cut(m.Topic, MaxKey), contentHash(m), cut(item.Reason, maxReason),
		cut(item.Detail, maxDetail), cut(string(item.Serial), maxSerial), cut(m.Key, MaxKey),
		cut(m.ID, maxMessageID), cut(m.Broker, MaxKey), m.Queue, m.Offset, m.Attempt,
		cut(string(m.Body), maxBody), len(m.Body), at, at).Error
}

// errNotThere says that a message was not stored because it is there, and that it is not there.
var errNotThere = errors.New("a unique key was taken, and not by the same content")

// countAgain counts a delivery of content that is there. What the insert met need not have been
// that content's key: only a row that was counted is proof that the message is kept.
func (q *Quarantine) countAgain(ctx context.Context, item payment.Quarantined) error {
	m := item.Message
	counted := q.db.gorm.WithContext(ctx).Exec(`UPDATE quarantine
SET deliveries = deliveries + 1, last_seen_at = ?, kind = ?, reason = ?, detail = ?,
  serial_no = IF(serial_no = '', ?, serial_no),
  resolved_at = IF(state = 'replayed', NULL, resolved_at),
  state = IF(state = 'replayed', 'open', state)
WHERE topic = ? AND content_hash = ?`,
		stamp(item.At), string(item.Kind), cut(item.Reason, maxReason),
		cut(item.Detail, maxDetail), cut(string(item.Serial), maxSerial),
		cut(m.Topic, MaxKey), contentHash(m))
	if counted.Error == nil && counted.RowsAffected == 0 {
		return errNotThere
	}
	return counted.Error
}

// cut never returns nil, which would be NULL.
func cut(s string, most int) []byte { return []byte(s[:min(len(s), most)]) }

// contentHash tells content apart. The key's length goes first, so that no key and body can be
// divided in two ways.
func contentHash(m payment.Message) []byte {
	h := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(m.Key)))
	h.Write(length[:])
	h.Write([]byte(m.Key))
	h.Write(m.Body)
	return h.Sum(nil)
}

// Item is a message in quarantine.
type Item struct {
	ID          int64
	Topic       string
	Kind        payment.Kind
	Reason      string
	Detail      string
	Serial      string `gorm:"column:serial_no"`
	MessageKey  string
	MessageID   string
	Broker      string
	QueueID     int
	QueueOffset int64
	Attempt     int
	Body        []byte
	BodyBytes   int64 // of the whole body; Body may be cut
	Deliveries  int64
	State       State
	FirstSeenAt time.Time
	LastSeenAt  time.Time
	ResolvedAt  *time.Time
}

// Filter selects quarantined messages; empty fields select all. Limit is at least 1.
type Filter struct {
	State  State
	Kind   payment.Kind
	Reason string
	Serial string
	After  int64 // IDs above this one
	Limit  int
}

// List returns messages in the order of their IDs, with their bodies.
func (q *Quarantine) List(ctx context.Context, f Filter) ([]Item, error) {
	query := q.db.gorm.WithContext(ctx).Table("quarantine").Where("id > ?", f.After)
	for column, value := range map[string]string{
		"state": string(f.State), "kind": string(f.Kind),
		"reason": f.Reason, "serial_no": f.Serial,
	} {
		if value != "" {
			query = query.Where(column+" = ?", value)
		}
	}
	var items []Item
	if err := query.Order("id").Limit(max(1, f.Limit)).Find(&items).Error; err != nil {
		return nil, explain("list quarantine", err)
	}
	return items, nil
}

// Get returns one message; ErrNotOpen if there is none with this ID.
func (q *Quarantine) Get(ctx context.Context, id int64) (Item, error) {
	var item Item
	err := q.db.gorm.WithContext(ctx).Table("quarantine").Where("id = ?", id).Take(&item).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Item{}, fmt.Errorf("quarantine %d: %w", id, ErrNotOpen)
	}
	if err != nil {
		return Item{}, explain("read quarantine", err)
	}
	return item, nil
}

// Resolve marks an open message as replayed or discarded, if nothing happened to it since it was
// read: a message that came back in between stays open.
func (q *Quarantine) Resolve(ctx context.Context, item Item, to State) error {
	res := q.db.gorm.WithContext(ctx).Exec(`UPDATE quarantine SET state = ?, resolved_at = ?
WHERE id = ? AND state = 'open' AND deliveries = ?`, string(to), now(), item.ID, item.Deliveries)
	if res.Error != nil {
		return explain("resolve quarantine", res.Error)
	}
	if res.RowsAffected != 1 {
		return fmt.Errorf("quarantine %d: %w", item.ID, ErrNotOpen)
	}
	return nil
}

// Group is a number of messages with one kind, reason and state.
type Group struct {
	Kind   payment.Kind
	Reason string
	State  State
	Count  int64
}

// openCounted is how many open messages OpenGroups counts at most.
const openCounted = 10_000

// OpenGroups counts the open messages by kind and reason. It looks at openCounted of them at most,
// so that it may be asked again and again, however much there is.
func (q *Quarantine) OpenGroups(ctx context.Context) ([]Group, error) {
	var groups []Group
	err := q.db.gorm.WithContext(ctx).Raw(`SELECT kind, reason, 'open' AS state, COUNT(*) AS count
FROM (SELECT kind, reason FROM quarantine WHERE state = 'open' ORDER BY id LIMIT ?) o
GROUP BY kind, reason ORDER BY kind, reason`, openCounted).Scan(&groups).Error
	if err != nil {
		return nil, explain("count open messages in quarantine", err)
	}
	return groups, nil
}

// Groups counts the messages by kind, reason and state.
func (q *Quarantine) Groups(ctx context.Context) ([]Group, error) {
	var groups []Group
	err := q.db.gorm.WithContext(ctx).Raw(`SELECT kind, reason, state, COUNT(*) AS count
FROM quarantine GROUP BY kind, reason, state ORDER BY kind, reason, state`).Scan(&groups).Error
	if err != nil {
		return nil, explain("count quarantine", err)
	}
	return groups, nil
}
