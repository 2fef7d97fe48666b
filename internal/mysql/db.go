package mysql

import (
	"cmp"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/tracing"
)

// Config says how to reach the database. All waits are bounded; see DESIGN.md for why
// LockWait < ReadTimeout < SessionTimeout must hold.
type Config struct {
	Address  string // host:port
	Database string
	User     string
	Password string
	TLS      *tls.Config // nil for a connection that is not encrypted
	MaxOpen  int         // connections at most; default 8

	DialTimeout    time.Duration // default 3 s
	ReadTimeout    time.Duration // for one answer of the server; default 5 s
	LockWait       time.Duration // for a row lock; default 3 s
	SessionTimeout time.Duration // after which the server drops a silent session; default 20 s
	IdleTime       time.Duration // after which the pool drops an unused connection; default 10 s

	// OnRetry, if set, is told of each transaction that begins from scratch, because it lost to
	// another one (deadlock, lock_wait or snapshot), or to look for orders that are paid (look).
	// Several sessions call it at once.
	OnRetry func(class string)
	// OnWait, if set, is told once by Migrate that another migration is under way.
	OnWait func()
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	set(&c.DialTimeout, 3*time.Second)
	set(&c.ReadTimeout, 5*time.Second)
	set(&c.LockWait, 3*time.Second)
	set(&c.SessionTimeout, 20*time.Second)
	set(&c.IdleTime, 10*time.Second)
	if c.MaxOpen <= 0 {
		c.MaxOpen = 8
	}
	if c.OnRetry == nil {
		c.OnRetry = func(string) {}
	}
	return c
}

// transactionAttempts is how often a transaction that lost to another one is begun anew.
const transactionAttempts = 4

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	gorm  *gorm.DB
	pool  *sql.DB
	cfg   Config
	epoch atomic.Pointer[epochReading]
}

// Open makes a pool. It does not connect: the first use does, so a database that is down is
// reported by Ping and by Check, not here.
func Open(cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	if wholeSeconds(cfg.LockWait) >= cfg.ReadTimeout ||
		cfg.ReadTimeout >= wholeSeconds(cfg.SessionTimeout) ||
		cfg.IdleTime >= wholeSeconds(cfg.SessionTimeout) {
		return nil, errors.New("mysql: the waits must grow: lock wait < read timeout < " +
			"session timeout, and idle time < session timeout")
	}
	inner, err := mysql.NewConnector(cfg.driver())
	if err != nil {
		return nil, fmt.Errorf("mysql: settings: %w", err)
	}
	db := &DB{cfg: cfg}
	db.pool = sql.OpenDB(&connector{Connector: inner, db: db})
	db.pool.SetMaxOpenConns(cfg.MaxOpen)
	db.pool.SetMaxIdleConns(cfg.MaxOpen)
	db.pool.SetConnMaxIdleTime(cfg.IdleTime)
	// After a failover behind one address the old connections are still good, and on a server
	// that takes no writes any more. They must not outlast the time that a message is held.
	db.pool.SetConnMaxLifetime(time.Minute)
	db.gorm, err = gorm.Open(
		gormmysql.New(gormmysql.Config{Conn: db.pool, SkipInitializeWithVersion: true}),
		&gorm.Config{
			// gorm's own logger prints statements with their values.
			Logger:                   logger.Discard,
			SkipDefaultTransaction:   true,
			DisableNestedTransaction: true,
			DisableAutomaticPing:     true,
		})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mysql: open: %w", err), db.pool.Close())
	}
	if err := db.trace(); err != nil {
		return nil, errors.Join(fmt.Errorf("mysql: trace: %w", err), db.pool.Close())
	}
	return db, nil
}

func (c Config) driver() *mysql.Config {
	d := mysql.NewConfig()
	d.Net, d.Addr, d.DBName, d.User, d.Passwd = "tcp", c.Address, c.Database, c.User, c.Password
	d.Timeout, d.ReadTimeout, d.WriteTimeout = c.DialTimeout, c.ReadTimeout, c.ReadTimeout
	if c.TLS != nil {
		d.TLS = c.TLS.Clone() // the driver puts the host's name in
	}
	d.ParseTime, d.Loc = true, time.UTC
	// Every text in a statement is ASCII, for everything else goes out as bytes. As latin1 the server
	// takes it byte by byte, in a tenth less of its time than UTF-8, and still refuses for a column
	// what is not ASCII, which it would not do if it were told that all is.
	d.Collation = "latin1_bin"
	d.InterpolateParams = true // one round trip per statement instead of three
	d.Logger = &mysql.NopLogger{}
	d.Params = map[string]string{
		"time_zone": "'+00:00'",
		// What follows is usual, and must not depend on what somebody has set for the whole server:
		// a statement outside a transaction is one by itself, reads all rows, and a commit ends it.
		"autocommit":       "1",
		"sql_select_limit": "18446744073709551615",
		"completion_type":  "0",
		// And a unique key is checked, which an import likes to turn off: nothing else tells of most
		// orders that are paid already.
		"unique_checks": "1",
		// Set here and checked at start: without it a value that does not fit is bent to fit.
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"innodb_lock_wait_timeout": seconds(c.LockWait),
		// The same for locks on tables, which a migration holds, and a backup against commits.
		// The server waits a day by default: we would hang up long before, and it would go on
		// with a transaction, locks and all, that nobody waits for.
		"lock_wait_timeout": seconds(c.LockWait),
		// A consumer that is paused or cut off inside a transaction keeps its row locks until
		// the server drops the session: seconds, not the eight hours of the default.
		"wait_timeout": seconds(c.SessionTimeout),
	}
	return d
}

// seconds is a duration as the server takes it: whole seconds, rounded down so that the waits that
// grow go on growing, and at least one.
func seconds(d time.Duration) string { return fmt.Sprint(int(wholeSeconds(d) / time.Second)) }

func wholeSeconds(d time.Duration) time.Duration {
	return max(time.Second, d.Truncate(time.Second))
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.pool.PingContext(ctx); err != nil {
		return explain(fmt.Sprintf("connect to database %s at %s as %s",
			db.cfg.Database, db.cfg.Address, db.cfg.User), err)
	}
	return nil
}

// Stats counts the pool's connections, and the waits for one.
func (db *DB) Stats() sql.DBStats { return db.pool.Stats() }

// Close closes the pool.
func (db *DB) Close() error { return db.pool.Close() }

// connector prepares every new connection. It sees to it that a lookup outside of a transaction
// reads only what is committed: under READ UNCOMMITTED, which a server may have for its default,
// a payment would be called a duplicate of one that is then rolled back. And it reads the ledger
// epoch: a database that was restored or failed over is met by new connections, so the reading is
// never older than the server.
type connector struct {
	driver.Connector
	db *DB
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err = isolate(ctx, conn); err == nil {
		err = c.db.readEpoch(ctx, conn)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// isolate sets the level of the session. The variable has other names on other servers; the
// statement is the same.
func isolate(ctx context.Context, conn driver.Conn) error {
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("mysql: the driver's connection takes no statements")
	}
	_, err := session.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
	return err
}

// readCommitted is how everything is written: under the default level the lock on an account that
// does not exist, and a long list of them, would keep others from opening accounts.
func readCommitted() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// transact runs fn in one transaction, commits if it returned nil and rolls back if not. It is
// the only place that begins, commits and rolls back, so that nothing follows an error but the
// rollback. A transaction's error is returned as the driver gave it.
func (db *DB) transact(
	ctx context.Context, opts *sql.TxOptions, fn func(tx *gorm.DB) error,
) (err error) {
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	session := db.gorm.WithContext(ctx)
	session.Statement.ConnPool = conn
	tx := session.Begin(opts)
	if tx.Error != nil {
		return tx.Error
	}
	end, word := tx.Rollback, "ROLLBACK" // after an error, and when a panic is on its way out
	defer func() {
		_, span := tracing.Child(ctx, word, tracing.Client, endAttributes)
		ended := end().Error
		span.End(errorType(ended))
		if ended != nil {
			discard(conn)
			err = cmp.Or(err, ended)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	end, word = tx.Commit, "COMMIT"
	return nil
}

// discard closes a connection on which a COMMIT or a ROLLBACK failed. What the server thinks of
// the transaction is not known, and if it were still open, the next BEGIN would commit it.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// untilItWins runs a transaction or a statement, and from scratch again, a few times, if it lost
// to another session: the server has undone it, or is made to by the rollback.
func (db *DB) untilItWins(ctx context.Context, run func() error) error {
	for attempt := 1; ; attempt++ {
		err := run()
		if classify(err) != classContention || attempt == transactionAttempts ||
			!contention().Wait(ctx, attempt) {
			return err
		}
		db.cfg.OnRetry(contentionWord(err))
	}
}

// contention is the wait before a transaction that lost to another one begins anew.
func contention() idem.Backoff {
	return idem.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond}
}

// Cipher names what encrypts a connection to the server; empty if nothing does.
func (db *DB) Cipher(ctx context.Context) (string, error) {
	var status struct{ Value string }
	err := db.gorm.WithContext(ctx).Raw("SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(&status).Error
	if err != nil {
		return "", explain("ask for the cipher", err)
	}
	return status.Value, nil
}
