package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// UnsafeError lists what makes a database unfit to hold payments, a line each.
type UnsafeError struct{ Problems []string }

// Error joins the problems.
func (e *UnsafeError) Error() string {
	return "mysql: the database cannot be trusted with payments: " + strings.Join(e.Problems, "; ")
}

// Check refuses a database that would break a promise of this program: a schema that is not
// migrated, keys that are missing or case-insensitive, a server that may lose commits, or one
// that does not enforce what the schema says. With allowUnsafe a server that may lose commits in
// a power cut is accepted; that is for tests only.
func (db *DB) Check(ctx context.Context, allowUnsafe bool) error {
	if err := db.Usable(ctx); err != nil {
		return err
	}
	var problems []string
	checks := []func(context.Context) ([]string, error){
		db.checkTables, db.checkColumns, db.checkKeys, db.checkStrictMode, db.checkPacket,
		db.checkNegativeBalance, db.checkRepeat, db.checkBarrier,
	}
	if !allowUnsafe {
		checks = append(checks, db.checkDurability)
	}
	for _, check := range checks {
		found, err := check(ctx)
		if err != nil {
			return explain("check the database", err)
		}
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return &UnsafeError{Problems: problems}
	}
	return nil
}

// Usable says what is the matter with a database that was fit once: it cannot be reached, or has
// been restored to an earlier schema. Unlike Check it writes nothing, and may be asked often.
func (db *DB) Usable(ctx context.Context) error {
	if err := db.Ping(ctx); err != nil {
		return err
	}
	return db.checkSchemaVersion(ctx)
}

func (db *DB) checkSchemaVersion(ctx context.Context) error {
	var found []struct {
		Version int
		Dirty   bool
	}
	err := db.gorm.WithContext(ctx).Raw("SELECT version, dirty FROM schema_migrations").
		Scan(&found).Error
	var reply *mysql.MySQLError
	switch {
	case errors.As(err, &reply) && (reply.Number == 1146 || reply.Number == 1142):
		found = nil // no such table, or not granted because there was none
	case err != nil:
		return explain("read schema version", err)
	}
	switch {
	case len(found) == 0:
		return fmt.Errorf("mysql: database %s has no schema: run payment-consumer migrate",
			db.cfg.Database)
	case found[0].Dirty:
		return fmt.Errorf("mysql: database %s: %w", db.cfg.Database,
			halfApplied(found[0].Version))
	case found[0].Version < SchemaVersion:
		return fmt.Errorf("mysql: database %s is at schema version %d, this program needs %d: "+
			"run payment-consumer migrate", db.cfg.Database, found[0].Version, SchemaVersion)
	}
	return nil
}

// checkTables reads from every table that the program needs: one that is missing, or that it may
// not read, would be noticed by the first message that needs it.
func (db *DB) checkTables(ctx context.Context) (problems []string, err error) {
	for _, table := range []string{
		"payments", "ledger_entries", "accounts", "quarantine", "ledger_epoch",
		"ledger_entries_archive",
	} {
		var rows []int
		err := db.gorm.WithContext(ctx).Raw("SELECT 1 FROM " + table + " LIMIT 1").Scan(&rows).Error
		switch {
		case refused(err):
			problems = append(problems, fmt.Sprintf("table %s cannot be read: %v", table,
				bare(err, remedyOfUser)))
		case err != nil:
			return nil, err
		}
	}
	return problems, nil
}

// checkColumns looks for keys that would take PAY_1 for pay_1.
func (db *DB) checkColumns(ctx context.Context) (problems []string, err error) {
	var columns []struct{ TableName, ColumnName, CollationName string }
	err = db.gorm.WithContext(ctx).Raw(`SELECT table_name AS table_name,
  column_name AS column_name, collation_name AS collation_name
FROM information_schema.columns
WHERE table_schema = DATABASE() AND collation_name IS NOT NULL
  AND table_name IN ('payments', 'accounts', 'ledger_entries')
  AND column_name IN ('serial_no', 'order_id', 'paid_order_id', 'first_serial', 'account_id')
  AND collation_name NOT LIKE '%\_bin'`).Scan(&columns).Error
	for _, c := range columns {
		problems = append(problems, fmt.Sprintf("column %s.%s has collation %s, which merges "+
			"serial numbers: it must be ascii_bin", c.TableName, c.ColumnName, c.CollationName))
	}
	return problems, err
}

// checkKeys looks for the unique keys that decide, each on exactly its columns, and on the whole of
// them: a key on a prefix would take two serials for one.
func (db *DB) checkKeys(ctx context.Context) (problems []string, err error) {
	for _, key := range []struct{ table, columns, meaning string }{
		{"payments", "serial_no", "a serial could be paid twice"},
		{"payments", "paid_order_id", "an order could be paid twice"},
		{"accounts", "account_id", "an account could have two balances"},
		{"ledger_entries", "account_id,serial_no", "an entry could be there twice"},
	} {
		var count int64
		err := db.gorm.WithContext(ctx).Raw(`SELECT COUNT(*) FROM (
  SELECT index_name FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = ? AND non_unique = 0
  GROUP BY index_name
  HAVING GROUP_CONCAT(column_name ORDER BY seq_in_index) = ? AND MAX(sub_part) IS NULL) k`,
			key.table, key.columns).Scan(&count).Error
		if err != nil {
			return nil, err
		}
		if count == 0 {
			problems = append(problems, fmt.Sprintf(
				"%s has no unique key on %s: %s", key.table, key.columns, key.meaning))
		}
	}
	return problems, nil
}

func (db *DB) checkStrictMode(ctx context.Context) (problems []string, err error) {
	var mode string
	err = db.gorm.WithContext(ctx).Raw("SELECT @@SESSION.sql_mode").Scan(&mode).Error
	if err == nil && !strings.Contains(mode, "STRICT_ALL_TABLES") {
		problems = append(problems, fmt.Sprintf("sql_mode is %q: without STRICT_ALL_TABLES "+
			"amounts are clipped to fit", mode))
	}
	return problems, err
}

// minPacket is what a message in quarantine may take on its way to the server, all of its bytes
// escaped, with room to spare.
const minPacket = 4 << 20

// checkPacket looks for a limit under which a large message could not be put into quarantine.
func (db *DB) checkPacket(ctx context.Context) (problems []string, err error) {
	var limit int64
	err = db.gorm.WithContext(ctx).Raw("SELECT @@SESSION.max_allowed_packet").Scan(&limit).Error
	if err == nil && limit < minPacket {
		problems = append(problems, fmt.Sprintf("max_allowed_packet is %d: with less than %d a "+
			"large message could not be put into quarantine", limit, minPacket))
	}
	return problems, err
}

// durability are the settings under which an acknowledged commit can be lost.
type durability struct{ FlushLog, LogBin, SyncBinlog int64 }

func (db *DB) checkDurability(ctx context.Context) ([]string, error) {
	var v durability
	err := db.gorm.WithContext(ctx).Raw(`SELECT @@GLOBAL.innodb_flush_log_at_trx_commit AS flush_log,
  @@GLOBAL.log_bin AS log_bin, @@GLOBAL.sync_binlog AS sync_binlog`).Scan(&v).Error
	if err != nil {
		return nil, err
	}
	return v.problems(), nil
}

func (v durability) problems() (problems []string) {
	const remedy = "a power cut loses committed payments; set it to 1 " +
		"(mysql.allow_unsafe accepts it for tests)"
	if v.FlushLog != 1 {
		problems = append(problems, fmt.Sprintf(
			"innodb_flush_log_at_trx_commit is %d: %s", v.FlushLog, remedy))
	}
	if v.LogBin != 0 && v.SyncBinlog != 1 {
		problems = append(problems, fmt.Sprintf("sync_binlog is %d: %s", v.SyncBinlog, remedy))
	}
	return problems
}

// errProbe rolls a probe back that the server has accepted.
var errProbe = errors.New("accepted")

// checkNegativeBalance tries an overdraft: some servers parse a CHECK and do not enforce it.
func (db *DB) checkNegativeBalance(ctx context.Context) ([]string, error) {
	return db.probe(ctx, classContent, "a negative balance (CHECK constraints are not enforced)",
		"INSERT INTO accounts (account_id, currency, balance_minor) "+
			"VALUES ('probe-negative-balance', 'XTS', -1)")
}

// checkRepeat tries the same serial twice.
func (db *DB) checkRepeat(ctx context.Context) ([]string, error) {
	const row = "('probe-repeated-serial', 'probe', NULL, 'probe', 'probe', 1, 'XTS', " +
		"'declined', '', NULL, REPEAT('0', 32), 1, UTC_TIMESTAMP(6))"
	return db.probe(ctx, classDuplicate, "a repeated serial number",
		"INSERT INTO payments (serial_no, order_id, paid_order_id, payer, payee, amount_minor, "+
			"currency, status, reason, first_serial, fingerprint, fingerprint_version, "+
			"created_at) VALUES "+row+", "+row)
}

// probe runs a statement that must fail, in a transaction that is rolled back in any case.
func (db *DB) probe(
	ctx context.Context, expected class, what, statement string,
) ([]string, error) {
	// As payments are committed: a server whose binary log cannot keep it says so here.
	err := db.transact(ctx, readCommitted(), func(tx *gorm.DB) error {
		if err := tx.Exec(statement).Error; err != nil {
			return err
		}
		return errProbe
	})
	switch {
	case errors.Is(err, errProbe):
		return []string{"the server accepts " + what}, nil
	case classify(err) == expected:
		return nil, nil
	default:
		return nil, fmt.Errorf("try %s: %w", what, err)
	}
}
