package mysql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout is generous: it bounds a test that hangs and says nothing about speed.
const testTimeout = 90 * time.Second

// cny is the currency of the accounts in the tests.
const cny = order.Currency("CNY")

// fixture is one test's own database on the real server, with the schema and the grants.
type fixture struct {
	root *sql.DB // on this database, with all rights
	cfg  Config  // of the application's user
	name string
}

// rootConfig reads where the test server is; without one the test is skipped, or fails when the
// run says that there must be one.
func rootConfig(t testing.TB) *mysql.Config {
	t.Helper()
	dsn := os.Getenv("PAYMENT_TEST_MYSQL_ROOT")
	if dsn == "" {
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal("PAYMENT_TEST_MYSQL_ROOT is not set and PAYMENT_TEST_REQUIRE is 1")
		}
		t.Skip("needs a database server: set PAYMENT_TEST_MYSQL_ROOT, or run make test")
	}
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("PAYMENT_TEST_MYSQL_ROOT: %v", err)
	}
	return cfg
}

// env reads a variable that says who the application's user of the test server is.
func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// emptyDatabase creates a database without a schema and drops it at the end.
func emptyDatabase(t testing.TB) *fixture {
	t.Helper()
	server := rootConfig(t)
	name := "test_" + strings.ToLower(rand.Text()[:12])
	pool := openRoot(t, server)
	execute(t, pool, "CREATE DATABASE "+name)
	own := server.Clone()
	own.DBName = name
	f := &fixture{
		root: openRoot(t, own),
		name: name,
		cfg: Config{
			Address: server.Addr, Database: name,
			User:     env("PAYMENT_MYSQL_USER", "payment_app"),
			Password: os.Getenv("PAYMENT_MYSQL_PASSWORD"),
			// A machine that stands still is no outage and no contention. A test that is about a
			// limit sets its own.
			DialTimeout: 20 * time.Second, LockWait: 20 * time.Second,
			ReadTimeout: 40 * time.Second, SessionTimeout: time.Minute,
		},
	}
	t.Cleanup(func() {
		f.revoke()
		execute(t, pool, "DROP DATABASE "+name)
	})
	return f
}

// revoke takes the grants back, which outlive the database; those that were never given are none.
func (f *fixture) revoke() {
	for _, table := range []string{"payments", "accounts", "ledger_entries", "ledger_epoch",
		"read_barrier", "quarantine", "schema_migrations", "ledger_entries_archive",
		"quarantine_archive"} {
		_, _ = f.root.Exec(fmt.Sprintf("REVOKE ALL PRIVILEGES ON %s.%s FROM '%s'@'%%'",
			f.name, table, f.cfg.User))
	}
}

func openRoot(t testing.TB, cfg *mysql.Config) *sql.DB {
	t.Helper()
	cfg = cfg.Clone()
	cfg.MultiStatements = true
	cfg.ParseTime = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatalf("root connection: %v", err)
	}
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

// rootOf is the configuration of the root user on this database, for Migrate.
func (f *fixture) rootOf(t testing.TB) Config {
	t.Helper()
	server := rootConfig(t)
	cfg := f.cfg
	cfg.User, cfg.Password = server.User, server.Passwd
	return cfg
}

func (f *fixture) migrate(t testing.TB) {
	t.Helper()
	_, to, err := Migrate(t.Context(), f.rootOf(t), migrations.Files, f.cfg.User)
	if err != nil || to != SchemaVersion {
		t.Fatalf("Migrate: version %d, %v", to, err)
	}
}

// newDatabase creates a migrated database with its own accounts and drops it at the end.
func newDatabase(t testing.TB) *fixture {
	t.Helper()
	f := emptyDatabase(t)
	f.migrate(t)
	return f
}

// open opens the database as the application's user, with settings changed by change.
func (f *fixture) open(t testing.TB, change ...func(*Config)) *DB {
	t.Helper()
	cfg := f.cfg
	for _, apply := range change {
		apply(&cfg)
	}
	db, err := Open(cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// store opens the database and returns a store whose accounts may hold nearly anything.
func (f *fixture) store(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	s := NewStore(f.open(t, change...), 1<<62)
	s.timeout = testTimeout
	return s
}

// guard puts a guard without a cache on a new store.
func (f *fixture) guard(
	t testing.TB, change ...func(*Config),
) *idem.Guard[order.Order, payment.Answer] {
	t.Helper()
	g := idem.New(f.store(t, change...), noCache{}, idem.Options{Timeout: testTimeout})
	t.Cleanup(g.Close)
	return g
}

// noCache is a cache that knows nothing, so that the database is asked every time.
type noCache struct{}

func (noCache) Get(context.Context, []idem.Key) (map[idem.Key]payment.Record, error) {
	return map[idem.Key]payment.Record{}, nil
}
func (noCache) Put(context.Context, []payment.Record) error { return nil }

// accounts opens CNY accounts with this much each.
func (f *fixture) accounts(t testing.TB, balance int64, ids ...string) {
	t.Helper()
	for _, id := range ids {
		f.exec(t, "INSERT INTO accounts (account_id, currency, opening_minor, balance_minor) "+
			"VALUES (?, 'CNY', ?, ?)", id, balance, balance)
	}
}

// exec runs statements as root.
func (f *fixture) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	execute(t, f.root, query, args...)
}

func execute(t testing.TB, pool *sql.DB, query string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	if _, err := pool.ExecContext(ctx, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// number reads one number as root.
func (f *fixture) number(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	var n sql.NullInt64
	if err := f.root.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n.Int64
}

// balance reads what an account holds.
func (f *fixture) balance(t testing.TB, id string) int64 {
	t.Helper()
	return f.number(t, "SELECT balance_minor FROM accounts WHERE account_id = ?", id)
}

// audited fails the test if the ledger breaks an invariant.
func (f *fixture) audited(t testing.TB) {
	t.Helper()
	findings, err := f.open(t).Audit(t.Context(), nil)
	if err != nil {
		t.Fatalf("Audit: %v", err)
	}
	for _, finding := range findings {
		if finding.Violations != 0 {
			t.Errorf("%s: %d violations: %v", finding.Rule, finding.Violations, finding.Examples)
		}
	}
}

// requestFor makes a request; every field can be changed.
func requestFor(serial, id, payer, payee string, minor int64) payment.Request {
	return payment.NewRequest(order.Order{
		ID: order.ID(id), Serial: order.Serial(serial),
		Payer: order.Account(payer), Payee: order.Account(payee),
		Amount: order.Money{Minor: minor, Currency: cny},
	})
}

// through puts a proxy before the server of a configuration and returns what changes it.
func through(t testing.TB, target string) (*mysqlproxy.Proxy, func(*Config)) {
	t.Helper()
	p, err := mysqlproxy.Listen("127.0.0.1:0", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, func(c *Config) { c.Address = p.Addr() }
}

// met fails the test if the fault of a rule never happened: then it proves nothing.
func met(t testing.TB, r *mysqlproxy.Rule) {
	t.Helper()
	if r.Fired() == 0 {
		t.Error("no statement that the rule is for came by")
	}
}

// pay makes a request of 10 from "payer" to "payee", for the order O-<serial>.
func pay(serial string) payment.Request {
	return requestFor(serial, "O-"+serial, "payer", "payee", 10)
}

// commitOne commits one request and returns its answer.
func commitOne(t testing.TB, s *Store, req payment.Request) idem.Answer[payment.Answer] {
	t.Helper()
	answers, err := s.Commit(t.Context(), []payment.Request{req})
	if err != nil || len(answers) != 1 {
		t.Fatalf("Commit %s: %d answers, %v", req.Key, len(answers), err)
	}
	return answers[0]
}

// commitAside commits one request on a goroutine of its own, and returns where its error comes; an
// answer that it is to come again later is one.
func commitAside(ctx context.Context, s *Store, req payment.Request) <-chan error {
	done := make(chan error, 1)
	go func() {
		answers, err := s.Commit(ctx, []payment.Request{req})
		if err == nil && answers[0].Verdict == idem.Retry {
			err = answers[0].Err
		}
		done <- err
	}()
	return done
}

// reached returns when a statement that a rule is for is there. Whoever sends it tells done of its
// own end, and must not end before.
func reached[T any](t *testing.T, r *mysqlproxy.Rule, done <-chan T) {
	t.Helper()
	select {
	case <-r.Reached():
	case end := <-done:
		t.Fatalf("over before the statement that the rule is for: %+v", end)
	case <-time.After(testTimeout):
		t.Fatal("waited in vain for the statement that the rule is for")
	}
}

// eventually waits for a condition that another goroutine or session brings about.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(testTimeout); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// serialsOf names n serials.
func serialsOf(prefix string, n int) []string {
	serials := make([]string, n)
	for i := range serials {
		serials[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return serials
}

// expectPaid fails the test unless so many payments of 10 were made, and nothing else.
func (f *fixture) expectPaid(t *testing.T, want int64) {
	t.Helper()
	if n := f.number(t, "SELECT COUNT(*) FROM payments WHERE status = 'paid'"); n != want {
		t.Errorf("%d payments, want %d", n, want)
	}
	if moved := f.number(t, "SELECT balance_minor - opening_minor FROM accounts "+
		"WHERE account_id = 'payee'"); moved != 10*want {
		t.Errorf("the payee got %d, want %d", moved, 10*want)
	}
	f.audited(t)
}

// hold runs statements in a transaction of root's, which keeps its locks until it is rolled back or
// the test ends.
func (f *fixture) hold(t *testing.T, statements ...string) *sql.Tx {
	t.Helper()
	tx, err := f.root.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	for _, statement := range statements {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	return tx
}

// waiting returns when a session of the application waits for a row lock.
func (f *fixture) waiting(t *testing.T) {
	t.Helper()
	eventually(t, "a session that waits for a lock", func() bool {
		letItRenew()
		return f.number(t, "SELECT COUNT(*) FROM information_schema.innodb_trx t "+
			"JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "+
			"WHERE t.trx_state = 'LOCK WAIT' AND p.db = ?", f.name) > 0
	})
}
