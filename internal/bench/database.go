package bench

import (
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/migrations"
)

// The databases. Each workload keeps to one of them, so that none has to be copied back.
const (
	emptyDatabase  = "bench_empty"
	paidDatabase   = "bench_paid"
	largeDatabase  = "bench_large"
	payerOpening   = 1_000_000_000_000
	databaseMemory = "1G"
	databaseLog    = "512M"
)

// databaseSettings are those of a server for such tables: they fit into its memory, and its log
// takes more than a few seconds of writes.
func databaseSettings() map[string]string {
	return map[string]string{
		"innodb-buffer-pool-size":    databaseMemory,
		"loose-innodb-log-file-size": databaseLog,
	}
}

// makeDatabase makes a database with schema, grants and accounts, as the program's own commands do.
func (r *rig) makeDatabase(ctx context.Context, name string) error {
	owner := r.stack.Migrator()
	if _, err := r.stack.Query(ctx, fmt.Sprintf(
		"CREATE DATABASE %[1]s; GRANT ALL ON %[1]s.* TO '%[2]s'@'%%' WITH GRANT OPTION",
		name, owner.User)); err != nil {
		return err
	}
	cfg := mysql.Config{
		Address: owner.Address, Database: name, User: owner.User, Password: owner.Password,
	}
	if _, _, err := mysql.Migrate(ctx, cfg, migrations.Files, owner.AppUser); err != nil {
		return err
	}
	db, err := mysql.Open(cfg)
	if err != nil {
		return err
	}
	return errors.Join(openAccounts(ctx, db), db.Close())
}

func openAccounts(ctx context.Context, db *mysql.DB) error {
	pay, paid := accounts()
	rich := order.Money{Minor: payerOpening, Currency: currency}
	if _, _, err := db.OpenAccounts(ctx, pay, rich); err != nil {
		return err
	}
	_, _, err := db.OpenAccounts(ctx, paid, order.Money{Currency: currency})
	return err
}

// emptyTables takes a database back to where no order was paid.
func (r *rig) emptyTables(ctx context.Context, database string) error {
	_, err := r.stack.Query(ctx, "USE "+database+`;
TRUNCATE TABLE payments; TRUNCATE TABLE ledger_entries;
UPDATE accounts SET balance_minor = opening_minor`)
	return err
}

// fits is how many payments the database has memory for.
const fits = 1_000_000

// fillTables pays the orders numbered from to below n, of long ago, whose serial numbers are
// random. Of more than fit into the memory each page would come from the disk again and again, for
// an hour; so these rise with the numbers, from the first to the last three times over, which
// leaves the pages three quarters full, as random order does on average. The statements are run
// piece by piece: one of a million rows would be one transaction to undo.
func (r *rig) fillTables(ctx context.Context, from, n int) error {
	serial := "CONCAT('PAY_', LEFT(MD5(n), 24)) serial"
	if n > fits {
		pass := max((n-from)/3, 1)
		serial = fmt.Sprintf("CONCAT('PAY_', LOWER(LPAD(HEX((n - %d) MOD %d * 16777216 DIV %d), "+
			"6, '0')), LEFT(MD5(n), 18)) serial", from, pass, pass)
	}
	const piece = 100_000
	const digits = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 " +
		"UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
	numbers := "SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d + %d n FROM " +
		digits + " a, " + digits + " b, " + digits + " c, " + digits + " e, " + digits + " f"
	for ; from < n; from += piece {
		source := fmt.Sprintf("("+numbers+") numbers WHERE n < %d ORDER BY serial", from,
			n)
		_, err := r.stack.Query(ctx, "USE "+largeDatabase+`;
INSERT INTO payments (serial_no, order_id, paid_order_id, payer, payee, amount_minor, currency,
  status, reason, fingerprint, fingerprint_version, created_at)
SELECT `+serial+`, CONCAT('OLD_', n), CONCAT('OLD_', n),
  CONCAT('payer-', 1 + n MOD 1000), CONCAT('payee-', 1 + n MOD 100), 100, 'CNY', 'paid', '',
  UNHEX(SHA2(n, 256)), 1, UTC_TIMESTAMP(6) FROM `+source+`;
INSERT INTO ledger_entries (serial_no, account_id, amount_minor, created_at)
SELECT `+serial+`, CONCAT(side, 1 + n MOD modulus), amount,
  UTC_TIMESTAMP(6)
FROM (SELECT 'payer-' side, 1000 modulus, -100 amount UNION SELECT 'payee-', 100, 100) sides, `+
			source)
		if err != nil {
			return fmt.Errorf("fill the tables: %w", err)
		}
	}
	return nil
}
