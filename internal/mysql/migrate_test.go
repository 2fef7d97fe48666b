package mysql

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/golang-migrate/migrate/v4/database"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/migrations"
)

func TestMigrate_UpThenNothing(t *testing.T) {
	t.Parallel()
	f := emptyDatabase(t)
	for _, wantFrom := range []uint{0, SchemaVersion} {
		from, to, err := Migrate(t.Context(), f.rootOf(t), migrations.Files, f.cfg.User)
		if err != nil || from != wantFrom || to != SchemaVersion {
			t.Errorf("Migrate: from %d to %d, %v, want from %d", from, to, err, wantFrom)
		}
	}
	if err := f.open(t).Check(t.Context(), true); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// The number in the program is the number of the newest file.
func TestSchemaVersion(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.Files, "*.up.sql")
	if err != nil || len(files) != SchemaVersion {
		t.Errorf("%d migrations, %v, and SchemaVersion is %d", len(files), err, SchemaVersion)
	}
}

func TestMigrate_SixAtOnce(t *testing.T) {
	t.Parallel()
	f := emptyDatabase(t)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			_, to, err := Migrate(t.Context(), f.rootOf(t), migrations.Files, f.cfg.User)
			if err != nil || to != SchemaVersion {
				t.Errorf("Migrate: version %d, %v", to, err)
			}
		})
	}
	wg.Wait()
	if n := f.number(t, "SELECT COUNT(*) FROM ledger_epoch"); n != 1 {
		t.Errorf("%d epochs, want 1", n)
	}
}

// migrateAside migrates on a goroutine of its own, and returns where its error comes.
func migrateAside(ctx context.Context, cfg Config) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, _, err := Migrate(ctx, cfg, migrations.Files, "")
		done <- err
	}()
	return done
}

// A migration that takes longer than the library waits for one, 10 s, holds others up until it is
// over, or until they have waited long enough.
func TestMigrate_TakesTurns(t *testing.T) {
	t.Parallel()
	f := emptyDatabase(t)
	w, by := through(t, f.cfg.Address)
	cfg := f.rootOf(t)
	by(&cfg)
	r := w.Next(mysqlproxy.Containing("SELECT version"), mysqlproxy.Hold())
	var waits atomic.Int64
	cfg.OnWait = func() { waits.Add(1) }
	patient := migrateAside(t.Context(), cfg)
	reached(t, r, patient) // and so it has made the table of versions, and let go of the lock
	name, err := database.GenerateAdvisoryLockId(f.name + ":schema_migrations")
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.root.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	var taken bool
	err = other.QueryRowContext(t.Context(), "SELECT GET_LOCK(?, 0)", name).Scan(&taken)
	if err != nil || !taken {
		t.Fatalf("GET_LOCK: %t, %v", taken, err)
	}
	asked := w.Next(mysqlproxy.Containing("GET_LOCK"), mysqlproxy.Pass())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.OnWait = nil
	hurried := migrateAside(ctx, cfg)
	reached(t, asked, hurried)
	cancel()
	r.Release()
	expectLine(t, "Hurried", <-hurried, "another migration of this database is under way")
	eventually(t, "the other one to wait for its turn", func() bool {
		return waits.Load() > 0 || len(patient) > 0
	})
	if _, err := other.ExecContext(t.Context(), "SELECT RELEASE_LOCK(?)", name); err != nil {
		t.Fatal(err)
	}
	if err := <-patient; err != nil {
		t.Errorf("Migrate: %v", err)
	}
	if n := waits.Load(); n != 1 {
		t.Errorf("it was told %d times that another migration is under way", n)
	}
	if n := f.number(t, "SELECT version FROM schema_migrations"); n != SchemaVersion {
		t.Errorf("version %d, want %d", n, SchemaVersion)
	}
}

// Each thing that a person gets wrong is one line that says what it is about, and no file's text.
func TestMigrate_Mistakes(t *testing.T) {
	t.Parallel()
	f := emptyDatabase(t)
	nobody := "no_" + f.name
	good := f.rootOf(t)
	wrong := good
	wrong.Password = "not-the-password"
	missing := good
	missing.Database = "no_such_database_here"
	away := good
	away.Address = closedPort(t)
	broken := fstest.MapFS{"0001_x.up.sql": {Data: []byte("CREATE TABLE secret_x (nonsense);")}}
	for name, c := range map[string]struct {
		cfg     Config
		files   fs.FS
		appUser string
		want    string
	}{
		"UserWithQuote": {good, migrations.Files, "x'; DROP", "not a user name"},
		"NoSuchUser":    {good, migrations.Files, nobody, "create the database user"},
		"WrongPassword": {wrong, migrations.Files, "", "access denied"},
		"NoDatabase":    {missing, migrations.Files, "", "no such database"},
		"ServerAway":    {away, migrations.Files, "", "connection refused"},
		"NoFiles":       {good, fstest.MapFS{}, "", "migrat"},
	} {
		_, _, err := Migrate(t.Context(), c.cfg, c.files, c.appUser)
		expectLine(t, name, err, c.want)
	}
	if n := f.number(t, "SELECT COUNT(*) FROM mysql.user WHERE user = ?", nobody); n != 0 {
		t.Error("a user without a password was created by the grant")
		f.exec(t, "DROP USER "+nobody)
	}
	other := emptyDatabase(t)
	for _, want := range []string{"server error", "half applied"} { // the second finds it dirty
		_, _, err := Migrate(t.Context(), other.rootOf(t), broken, "")
		expectLine(t, "Broken", err, want)
	}
}

func expectLine(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	text := err.Error()
	if !strings.Contains(text, want) || strings.Contains(text, "\n") || len(text) > 300 ||
		strings.Contains(text, "secret_x") || strings.Contains(text, "not-the-password") {
		t.Errorf("%s: %q, want one line with %q", name, text, want)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return listener.Addr().String()
}

// A server that accepts the connection and then says nothing does not hold a migration for ever.
func TestMigrate_SilentServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	cfg := Config{Address: listener.Addr().String(), Database: "x", User: "x",
		DialTimeout: 200 * time.Millisecond, ReadTimeout: 300 * time.Millisecond,
		LockWait: 100 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	if _, _, err := Migrate(ctx, cfg, migrations.Files, ""); !errors.Is(err, idem.ErrUnavailable) ||
		ctx.Err() != nil {
		t.Errorf("Migrate: %v, want ErrUnavailable before the caller's limit", err)
	}
}

// The consumer's user can do its work, and nothing that would change or invent history.
func TestGrants(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t)
	commitOne(t, s, pay("S"))
	for _, statement := range []string{
		"UPDATE payments SET amount_minor = 1",
		"UPDATE payments SET status = 'declined', paid_order_id = NULL",
		"DELETE FROM payments",
		"INSERT INTO payments SELECT * FROM payments ON DUPLICATE KEY UPDATE reason = 'x'",
		"REPLACE INTO payments SELECT * FROM payments",
		"UPDATE ledger_entries SET amount_minor = 1",
		"DELETE FROM ledger_entries",
		"UPDATE accounts SET opening_minor = 1",
		"INSERT INTO accounts (account_id, currency, opening_minor) VALUES ('x', 'CNY', 1)",
		"DELETE FROM accounts",
		"UPDATE quarantine SET body = ''",
		"UPDATE quarantine SET message_key = ''",
		"DELETE FROM quarantine",
		"UPDATE ledger_epoch SET epoch = 'x'",
		"UPDATE read_barrier SET id = 1",
		"DELETE FROM read_barrier",
		"UPDATE schema_migrations SET dirty = 1",
		"DROP TABLE payments",
		"TRUNCATE TABLE payments",
		"ALTER TABLE payments DROP PRIMARY KEY",
		"CREATE TABLE x (id INT)",
		"CREATE TEMPORARY TABLE payments (id INT)",
	} {
		_, err := s.db.pool.ExecContext(t.Context(), statement)
		if err == nil || !errors.Is(explain("try", err), ErrRefused) {
			t.Errorf("%s: %v, want it denied", statement, err)
		}
	}
	f.expectPaid(t, 1)
}
