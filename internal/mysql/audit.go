package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// maxExamples is how many violations of a rule are listed; all are counted.
const maxExamples = 20

// Finding is what the audit says about one invariant.
type Finding struct {
	Rule       string   `json:"rule"`
	Text       string   `json:"text"`
	Checked    int64    `json:"checked"` // rows, accounts or answers that were looked at
	Violations int64    `json:"violations"`
	Examples   []string `json:"examples,omitempty"`
	// Incomplete says that not all could be looked at: without a violation, nothing is known.
	Incomplete bool `json:"incomplete,omitempty"`
	// Unverified are cached values that nobody believes, so that they know nothing, and Outdated
	// those that were believed until the ledger's epoch was replaced.
	Unverified int64 `json:"unverified,omitempty"`
	Outdated   int64 `json:"outdated,omitempty"`
}

// auditQuery selects what violates a rule, one line of text per violation.
type auditQuery struct {
	rule, text, count, violations string
}

// auditQueries are the invariants that SQL alone can check. Sums of BIGINT are exact decimals.
func auditQueries() []auditQuery {
	return []auditQuery{{
		rule: "I1", text: "money is conserved in every currency",
		count: "SELECT COUNT(DISTINCT currency) FROM accounts",
		violations: `SELECT CONCAT(currency, ': opened with ', SUM(opening_minor),
  ', holds ', SUM(balance_minor)) AS example
FROM accounts GROUP BY currency HAVING SUM(opening_minor) <> SUM(balance_minor)`,
	}, {
		rule: "I2", text: "a paid payment has two entries that sum to zero, any other has none",
		count:      "SELECT COUNT(*) FROM payments",
		violations: pairs("ledger_entries", "ledger_entries_archive"),
	}, {
		rule: "I3", text: "a balance is its opening plus its entries",
		count: "SELECT COUNT(*) FROM accounts",
		violations: `SELECT CONCAT(a.account_id, ': holds ', a.balance_minor, ', opening and entries ',
  a.opening_minor + COALESCE(s.total, 0)) AS example
FROM accounts a LEFT JOIN (
  SELECT account_id, SUM(total) AS total FROM (
    SELECT account_id, SUM(amount_minor) AS total FROM ledger_entries GROUP BY account_id
    UNION ALL
    SELECT account_id, SUM(amount_minor) FROM ledger_entries_archive GROUP BY account_id
  ) u GROUP BY account_id
) s ON s.account_id = a.account_id
WHERE a.balance_minor <> a.opening_minor + COALESCE(s.total, 0)
UNION ALL
SELECT CONCAT(e.account_id, ': has entries and no account')
FROM (SELECT account_id FROM ledger_entries
  UNION SELECT account_id FROM ledger_entries_archive) e
LEFT JOIN accounts a ON a.account_id = e.account_id WHERE a.account_id IS NULL`,
	}, {
		rule: "I5", text: "one payment per serial, and at most one paid per order",
		count: "SELECT COUNT(DISTINCT order_id) FROM payments",
		violations: `SELECT CONCAT('order ', order_id, ': paid ', COUNT(*), ' times') AS example
FROM payments WHERE status = 'paid' GROUP BY order_id HAVING COUNT(*) > 1
UNION ALL
SELECT CONCAT('serial ', serial_no, ': ', COUNT(*), ' rows')
FROM payments GROUP BY serial_no HAVING COUNT(*) > 1
UNION ALL
SELECT CONCAT('serial ', p.serial_no, ': repeats ', p.first_serial, ', which did not pay the order')
FROM payments p LEFT JOIN payments f ON f.serial_no = p.first_serial
WHERE p.status = 'duplicate'
  AND (f.status IS NULL OR f.status <> 'paid' OR f.order_id <> p.order_id)`,
	}}
}

// pairs selects what violates I2. Each side's entry is in one table or in its archive, and is read
// there by its key; a union of the two would be made anew for every audit.
func pairs(entries, archive string) string {
	side := func(table, alias, party string) string {
		return "LEFT JOIN " + table + " " + alias + " ON " + alias + ".account_id = p." + party +
			" AND " + alias + ".serial_no = p.serial_no\n"
	}
	return `SELECT CONCAT(serial_no, ': ', status, ' with ', paid + received,
  ' entries and ', old_paid + old_received, ' in the archive, sum ',
  payer_sum + payee_sum) AS example
FROM (
  SELECT p.serial_no, p.status, p.amount_minor,
    a.serial_no IS NOT NULL AS paid, b.serial_no IS NOT NULL AS received,
    c.serial_no IS NOT NULL AS old_paid, d.serial_no IS NOT NULL AS old_received,
    COALESCE(a.amount_minor, 0) + COALESCE(c.amount_minor, 0) AS payer_sum,
    COALESCE(b.amount_minor, 0) + COALESCE(d.amount_minor, 0) AS payee_sum
  FROM payments p
` + side(entries, "a", "payer") + side(entries, "b", "payee") +
		side(archive, "c", "payer") + side(archive, "d", "payee") + `) sides
WHERE status = 'paid' AND (paid + old_paid <> 1 OR received + old_received <> 1
    OR payer_sum <> -amount_minor OR payee_sum <> amount_minor)
  OR status <> 'paid' AND paid + received + old_paid + old_received <> 0
` + strays(entries) + strays(archive)
}

// strays selects entries that no payment accounts for.
func strays(table string) string {
	return `UNION ALL
SELECT CONCAT(e.serial_no, ': entry of ', e.account_id, ' without a payment that names it')
FROM ` + table + ` e
LEFT JOIN payments p ON p.serial_no = e.serial_no AND e.account_id IN (p.payer, p.payee)
WHERE p.serial_no IS NULL
`
}

// Cached is what the audit needs to know of one cached answer.
type Cached struct {
	Key idem.Key
	// Known is the fingerprint that the cache vouches for; zero if the value does not verify,
	// which makes it a miss and no knowledge.
	Known   idem.Fingerprint
	Outcome order.Outcome
	// Outdated says that the value is the service's own, of another ledger epoch.
	Outdated bool
	Expires  bool
}

// Audit checks the invariants I1, I2, I3, I5 and I8 in one snapshot of the database. What is
// cached must have been read before the call, so that a payment between the two readings is not
// an alarm. It reads every row: run it on a replica, or when there is time.
func (db *DB) Audit(ctx context.Context, cached []Cached) (findings []Finding, err error) {
	patient, err := db.patient()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, patient.Close()) }()
	opts := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err = patient.transact(ctx, opts, func(tx *gorm.DB) error {
		for _, q := range auditQueries() {
			finding, err := q.run(tx)
			if err != nil {
				return fmt.Errorf("%s: %w", q.rule, err)
			}
			findings = append(findings, finding)
		}
		finding, err := auditCache(tx, cached)
		findings = append(findings, finding)
		return err
	})
	if err != nil {
		return nil, explain("audit", err)
	}
	return findings, nil
}

// auditLimit is how long one query of the audit may take.
const auditLimit = 15 * time.Minute

// patient opens the same database for queries that read whole tables, which take longer than any
// answer that a payment waits for.
func (db *DB) patient() (*DB, error) {
	cfg := db.cfg
	cfg.MaxOpen, cfg.ReadTimeout, cfg.SessionTimeout = 1, auditLimit, auditLimit+time.Minute
	return Open(cfg)
}

func (q auditQuery) run(tx *gorm.DB) (Finding, error) {
	f := Finding{Rule: q.rule, Text: q.text}
	if err := tx.Raw(q.count).Scan(&f.Checked).Error; err != nil {
		return f, err
	}
	rows, err := tx.Raw(q.violations).Rows()
	if err != nil {
		return f, err
	}
	defer func() { _ = rows.Close() }() // an error of reading is returned by rows.Err
	for rows.Next() {
		var example string
		if err := rows.Scan(&example); err != nil {
			return f, err
		}
		f.add(example)
	}
	return f, rows.Err()
}

func (f *Finding) add(example string) {
	f.Violations++
	if len(f.Examples) < maxExamples {
		f.Examples = append(f.Examples, example)
	}
}

// auditCache holds what the cache vouches for against the rows.
func auditCache(tx *gorm.DB, cached []Cached) (Finding, error) {
	f := Finding{
		Rule: "I8", Text: "the cache knows nothing that the database does not",
	}
	for _, c := range cached {
		switch {
		case c.Outdated:
			f.Outdated++
		case c.Known == (idem.Fingerprint{}):
			f.Unverified++
		default:
			f.Checked++
		}
	}
	err := inChunks(cached, func(chunk []Cached) error {
		keys := make([]idem.Key, 0, len(chunk))
		for _, c := range chunk {
			// A cache can hold any key, and the server compares no other characters with a column
			// of ASCII; what is no serial number is not in the database.
			if _, err := order.ParseSerial(string(c.Key)); err == nil {
				keys = append(keys, c.Key)
			}
		}
		stored := make(map[idem.Key]payment.Record, len(keys))
		err := readRecords(tx, bySerial, keys, func(row recordRow) {
			stored[idem.Key(row.SerialNo)] = row.record()
		})
		if err != nil {
			return err
		}
		for _, c := range chunk {
			if complaint := c.compare(stored); complaint != "" {
				f.add(fmt.Sprintf("%q: %s", c.Key, complaint))
			}
		}
		return nil
	})
	return f, err
}

func (c Cached) compare(stored map[idem.Key]payment.Record) string {
	if !c.Expires {
		return "cached without an expiry"
	}
	if c.Known == (idem.Fingerprint{}) {
		return ""
	}
	record, found := stored[c.Key]
	switch {
	case !found:
		return "cached and not in the database"
	case record.Fingerprint != c.Known:
		return "cached with another fingerprint than in the database"
	case record.Answer.Outcome != c.Outcome:
		return "cached as " + c.Outcome.String() + ", in the database " +
			record.Answer.Outcome.String()
	}
	return ""
}
