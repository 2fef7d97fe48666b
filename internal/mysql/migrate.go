package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratemysql "github.com/golang-migrate/migrate/v4/database/mysql"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// SchemaVersion is the number of the newest migration, which the program needs.
const SchemaVersion = 5

// migrationTurn is how long a caller of Migrate waits for others that migrate the same database; an
// index on a large table takes its time.
const migrationTurn = 10 * time.Minute

// userName is what a database user may look like in a GRANT: name or name@host.
var userName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}(@[A-Za-z0-9_.%:-]{1,255})?$`)

// Migrate brings the schema to SchemaVersion and, if appUser is not empty, gives that user the
// rights of grants.sql. The user of cfg needs DDL rights and the grant option. Several callers at
// once take turns; one that has waited ten minutes for the others fails. It returns the version
// that it found, when it was its turn, and the one that it left.
func Migrate(
	ctx context.Context, cfg Config, files fs.FS, appUser string,
) (from, to uint, err error) {
	if appUser != "" && !userName.MatchString(appUser) {
		return 0, 0, fmt.Errorf("mysql: %q is not a user name or user@host", appUser)
	}
	pool, err := migrationPool(cfg.withDefaults())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := ping(ctx, pool, cfg.withDefaults()); err != nil {
		return 0, 0, explainToOwner("connect to "+cfg.Address+" as "+cfg.User, err)
	}
	from, to, err = inTurn(ctx, pool, files, cfg.OnWait)
	if err != nil || appUser == "" {
		return from, to, err
	}
	return from, to, grant(ctx, pool, files, "grants.sql", appUser)
}

// migrationPool differs from the consumer's pool: several statements at once, and patience.
func migrationPool(cfg Config) (*sql.DB, error) {
	d := cfg.driver()
	d.MultiStatements = true
	d.ReadTimeout, d.WriteTimeout = 0, 0 // an index on a large table takes its time
	delete(d.Params, "wait_timeout")
	// A change of a table waits for the transactions that use it, and they for the change.
	d.Params["lock_wait_timeout"] = seconds(time.Minute)
	connector, err := mysql.NewConnector(d)
	if err != nil {
		return nil, fmt.Errorf("mysql: settings: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// ping connects within the limits of cfg, which the pool's own connections do not keep.
func ping(ctx context.Context, pool *sql.DB, cfg Config) error {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout+cfg.ReadTimeout)
	defer cancel()
	return pool.PingContext(ctx)
}

// inTurn applies migrations once nobody else does. The library waits 10 s for its lock, and if it
// does not get it, has done nothing: it starts from scratch here, and finds what the others have
// done meanwhile. When the server has not answered within 15 s, the library gives up, and the
// pool's one connection may get the lock later: its next GET_LOCK succeeds then, and the lock ends
// with the pool.
func inTurn(
	ctx context.Context, pool *sql.DB, files fs.FS, onWait func(),
) (from, to uint, err error) {
	waiting, cancel := context.WithTimeout(ctx, migrationTurn)
	defer cancel()
	for failures := 1; ; failures++ {
		from, to, err = applyMigrations(ctx, pool, files)
		if !isLocked(err) {
			return from, to, err
		}
		if failures == 1 && onWait != nil {
			onWait()
		}
		if !contention().Wait(waiting, failures) {
			return from, to, err
		}
	}
}

// isLocked says that another migration of this database is under way.
func isLocked(err error) bool {
	return errors.Is(err, database.ErrLocked) || errors.Is(err, migrate.ErrLockTimeout)
}

func applyMigrations(ctx context.Context, pool *sql.DB, files fs.FS) (from, to uint, err error) {
	source, err := iofs.New(files, ".")
	if err != nil {
		return 0, 0, fmt.Errorf("mysql: migrations: %w", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return 0, 0, explainToOwner("connect", err)
	}
	target, err := migratemysql.WithConnection(ctx, conn, &migratemysql.Config{})
	if err != nil {
		return 0, 0, explainToOwner("prepare migrations", errors.Join(reply(err), conn.Close()))
	}
	m, err := migrate.NewWithInstance("iofs", source, "mysql", target)
	if err != nil {
		return 0, 0, explainToOwner("prepare migrations", errors.Join(err, conn.Close()))
	}
	defer func() {
		sourceErr, targetErr := m.Close()
		err = errors.Join(err, sourceErr, targetErr)
	}()
	from, _, err = m.Version()
	if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
		return 0, 0, explainToOwner("read schema version", reply(err))
	}
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	if err := m.Up(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return from, 0, explainToOwner(fmt.Sprintf("migrate from version %d", from), reply(err))
	}
	to, _, err = m.Version()
	if err != nil {
		return from, 0, explainToOwner("read schema version", reply(err))
	}
	return from, to, nil
}

// reply finds the server's own words in an error of the migration library, whose text repeats
// the whole file, and says what to do about a migration that broke off.
func reply(err error) error {
	var failed database.Error
	var failedAt *database.Error
	var dirty migrate.ErrDirty
	switch {
	case errors.As(err, &failedAt):
		return failedAt.OrigErr
	case errors.As(err, &failed):
		return failed.OrigErr
	case errors.As(err, &dirty):
		return halfApplied(dirty.Version)
	case isLocked(err):
		return fmt.Errorf("another migration of this database is under way: %w", err)
	default:
		return err
	}
}

func halfApplied(version int) error {
	return fmt.Errorf("migration %d was left half applied: undo by hand what it did, set "+
		"schema_migrations back to the version before (empty it, if there was none), and run "+
		"payment-consumer migrate", version)
}

// GrantArchive gives a user the rights of archive_grants.sql, to a schema that is up to date. The
// user of cfg needs the grant option.
func GrantArchive(ctx context.Context, cfg Config, files fs.FS, user string) (err error) {
	if !userName.MatchString(user) {
		return fmt.Errorf("mysql: %q is not a user name or user@host", user)
	}
	pool, err := migrationPool(cfg.withDefaults())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	return grant(ctx, pool, files, "archive_grants.sql", user)
}

// grant runs a file of grants for one user. Granting twice changes nothing.
func grant(ctx context.Context, pool *sql.DB, files fs.FS, file, appUser string) error {
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return fmt.Errorf("mysql: grants: %w", err)
	}
	name, host, found := strings.Cut(appUser, "@")
	if !found {
		host = "%"
	}
	user := "'" + name + "'@'" + host + "'"
	statements := strings.ReplaceAll(string(text), "{{user}}", user)
	if _, err := pool.ExecContext(ctx, statements); err != nil {
		return explainToOwner("grant rights to "+appUser, err)
	}
	return nil
}
