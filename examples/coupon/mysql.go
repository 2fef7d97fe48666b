package coupon

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"example.com/payment/internal/idem"
)

// Open opens a database. What a server's defaults could change about a statement's meaning is set
// for each session, and every wait has an end: a lock's before the answer's before the session's.
func Open(dsn string) (*gorm.DB, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("coupon: not a DSN") // the driver's own error may quote it
	}
	cfg.ParseTime, cfg.Loc = true, time.UTC
	cfg.InterpolateParams = true // one round trip for each statement instead of three
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = 3*time.Second, 5*time.Second, 5*time.Second
	cfg.Params = map[string]string{
		"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
		"innodb_lock_wait_timeout": "3",
		"wait_timeout":             "20",
	}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("coupon: settings: %w", err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(8)
	pool.SetConnMaxIdleTime(10 * time.Second) // well before the server ends the session
	return gorm.Open(
		gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true}),
		// gorm's own logger prints statements with their values.
		&gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true, DisableAutomaticPing: true})
}

// Epoch names the state of this database for the cache, which believes only what was put there in
// the same one. A reading is good for a second; without one the cache is left alone.
func (s *Store) Epoch() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.readAt) < time.Second {
		return s.epoch, true
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	row := s.db.WithContext(ctx).Raw("SELECT epoch FROM coupon_state WHERE id = 1").Row()
	if row == nil || row.Scan(&s.epoch) != nil {
		return "", false
	}
	s.readAt = now
	return s.epoch, true
}

// number is the server's number of an error, or 0 if it is not the server's.
func number(err error) uint16 {
	var reply *mysql.MySQLError
	if !errors.As(err, &reply) {
		return 0
	}
	return reply.Number
}

// contended says that a transaction lost to another one: deadlock, lock wait, snapshot.
func contended(err error) bool {
	return slices.Contains([]uint16{1213, 1205, 1020}, number(err))
}

// explain tells the guard what an error means. A lost connection says nothing of a COMMIT that was
// under way; the next attempt's unique key does. What is not known is a retry, never a refusal.
func explain(what string, err error) error {
	var network net.Error
	switch code := number(err); {
	case errors.Is(err, idem.ErrRaced), code == 1062: // duplicate entry
		return fmt.Errorf("coupon: %s: %w", what, idem.ErrRaced)
	case slices.Contains([]uint16{1264, 1366, 1406, 3819, 4025}, code): // does not fit, or a CHECK
		return fmt.Errorf("coupon: %s: %w (server error %d)", what, idem.ErrContent, code)
	case slices.Contains([]uint16{1040, 1045, 1053, 1142, 1146, 1290, 1792, 1836, 1927, 4031}, code),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, io.EOF), errors.As(err, &network):
		return fmt.Errorf("coupon: %s: %w: %w", what, idem.ErrUnavailable, err)
	default:
		return fmt.Errorf("coupon: %s: %w", what, err)
	}
}
