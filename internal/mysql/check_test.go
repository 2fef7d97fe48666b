package mysql

import (
	"errors"
	"strings"
	"testing"
)

func TestCheck_FreshSchemaPasses(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	// The server of a test run may well be one that does not flush each commit.
	if err := f.open(t).Check(t.Context(), true); err != nil {
		t.Fatalf("Check: %v", err)
	}
	for _, table := range []string{"payments", "accounts", "ledger_entries", "quarantine"} {
		if n := f.number(t, "SELECT COUNT(*) FROM "+table); n != 0 {
			t.Errorf("the check left %d rows in %s", n, table)
		}
	}
}

// Each way in which a schema can break a promise is refused, with a line that names it.
func TestCheck_Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ change, want string }{
		"NoSerialKey": {"ALTER TABLE payments DROP PRIMARY KEY", "unique key on serial_no"},
		"WideSerialKey": {"ALTER TABLE payments DROP PRIMARY KEY, " +
			"ADD PRIMARY KEY (serial_no, order_id)", "unique key on serial_no"},
		"SerialKeyOnPrefix": {"ALTER TABLE payments DROP PRIMARY KEY, " +
			"ADD UNIQUE KEY (serial_no(8))", "unique key on serial_no"},
		"NoOrderKey": {"ALTER TABLE payments DROP KEY uq_payments_paid_order",
			"unique key on paid_order_id"},
		"OrderKeyNotUnique": {"ALTER TABLE payments DROP KEY uq_payments_paid_order, " +
			"ADD KEY uq_payments_paid_order (paid_order_id)", "unique key on paid_order_id"},
		"NoAccountKey": {"ALTER TABLE accounts DROP PRIMARY KEY", "unique key on account_id"},
		"SerialIgnoresCase": {"ALTER TABLE payments MODIFY serial_no VARCHAR(64) " +
			"CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL", "payments.serial_no"},
		"NoKeyOnEntries": {"ALTER TABLE ledger_entries DROP PRIMARY KEY",
			"unique key on account_id,serial_no"},
		"OrderIgnoresCase": {"ALTER TABLE payments MODIFY paid_order_id VARCHAR(64) " +
			"CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL", "payments.paid_order_id"},
		"AccountIgnoresCase": {"ALTER TABLE accounts MODIFY account_id VARCHAR(64) " +
			"CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL", "accounts.account_id"},
		"Overdraft": {"ALTER TABLE accounts DROP CONSTRAINT ck_accounts_balance",
			"negative balance"},
		"NoQuarantine": {"DROP TABLE quarantine", "table quarantine cannot be read"},
		"NotMigrated":  {"DROP TABLE schema_migrations", "run payment-consumer migrate"},
		"Emptied":      {"DELETE FROM schema_migrations", "run payment-consumer migrate"},
		"Older":        {"UPDATE schema_migrations SET version = 1", "schema version 1"},
		"Dirty":        {"UPDATE schema_migrations SET dirty = 1", "half applied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newDatabase(t)
			f.exec(t, c.change)
			err := f.open(t).Check(t.Context(), true)
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				strings.Contains(err.Error(), "\n") {
				t.Errorf("Check: %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestCheck_NewerSchemaPasses(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.exec(t, "UPDATE schema_migrations SET version = version + 1")
	if err := f.open(t).Check(t.Context(), true); err != nil {
		t.Errorf("Check beside a newer program: %v", err)
	}
}

func TestCheck_NoSchemaNoRights(t *testing.T) {
	t.Parallel()
	f := emptyDatabase(t)
	if err := f.open(t).Check(t.Context(), true); err == nil ||
		!strings.Contains(err.Error(), "run payment-consumer migrate") {
		t.Errorf("Check of an empty database: %v", err)
	}
}

func TestCheck_LaxModeIsRefused(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	db := f.open(t, func(c *Config) { c.MaxOpen = 1 })
	if _, err := db.pool.Exec("SET SESSION sql_mode = ''"); err != nil {
		t.Fatal(err)
	}
	var unsafe *UnsafeError
	if err := db.Check(t.Context(), true); !errors.As(err, &unsafe) ||
		len(unsafe.Problems) != 1 || !strings.Contains(err.Error(), "STRICT_ALL_TABLES") {
		t.Errorf("Check without strict mode: %v", err)
	}
}

// The server's settings belong to everybody, so what is made of them is tested without it.
func TestCheck_Durability(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings durability
		want     string
	}{
		{durability{FlushLog: 1}, ""},
		{durability{FlushLog: 1, SyncBinlog: 0}, ""},
		{durability{FlushLog: 1, LogBin: 1, SyncBinlog: 1}, ""},
		{durability{FlushLog: 0}, "innodb_flush_log_at_trx_commit is 0"},
		{durability{FlushLog: 2}, "innodb_flush_log_at_trx_commit is 2"},
		{durability{FlushLog: 1, LogBin: 1, SyncBinlog: 0}, "sync_binlog is 0"},
		{durability{FlushLog: 1, LogBin: 1, SyncBinlog: 1000}, "sync_binlog is 1000"},
	} {
		got := strings.Join(c.settings.problems(), "; ")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.settings, got, c.want)
		}
	}
	f := newDatabase(t)
	want := f.number(t, "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit") == 1 &&
		(f.number(t, "SELECT @@GLOBAL.log_bin") == 0 ||
			f.number(t, "SELECT @@GLOBAL.sync_binlog") == 1)
	if err := f.open(t).Check(t.Context(), false); (err == nil) != want {
		t.Errorf("Check: %v, but the server's settings are safe: %t", err, want)
	}
}

func TestOpen_WaitsMustGrow(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"LockWait": {LockWait: 5e9, ReadTimeout: 5e9},
		"Read":     {ReadTimeout: 20e9},
		"Idle":     {IdleTime: 20e9},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
