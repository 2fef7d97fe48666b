package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"example.com/payment/internal/idem"
)

// ErrRefused is wrapped, besides idem.ErrUnavailable, by what the server will go on refusing until
// somebody changes a setting: a password, a right, a database's name. At the start of a program
// it is worth no wait.
var ErrRefused = errors.New("refused")

// class says what an error of the database means for the request that met it.
type class uint8

const (
	// classUnknown: nobody knows; the request comes again. Never a reason to refuse it.
	classUnknown class = iota
	// classDuplicate: a unique key was taken by somebody else.
	classDuplicate
	// classContention: the transaction lost against another one and was or must be undone; a
	// new one from scratch may succeed at once.
	classContention
	// classContent: the values cannot be stored, whenever they are tried.
	classContent
	// classUnavailable: the server is away, going away, or refuses everything.
	classUnavailable
)

// classify tells the errors of the driver and of the server apart. The numbers are the server's
// own (MySQL and MariaDB error references); where the two differ both are listed.
func classify(err error) class {
	var reply *mysql.MySQLError
	if errors.As(err, &reply) {
		return classifyCode(reply.Number)
	}
	var network net.Error
	switch {
	case isUnverified(err), isNoLogin(err):
		return classUnavailable // whoever answers there is not the database, or not set up like it
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, mysql.ErrInvalidConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, context.DeadlineExceeded), errors.As(err, &network):
		// Sent on a COMMIT, these leave open whether it happened. That is no class of its own:
		// the next attempt's unique insert finds out.
		return classUnavailable
	default:
		return classUnknown
	}
}

func classifyCode(code uint16) class {
	switch code {
	case 1062, // duplicate entry
		1586: // duplicate entry, with the key's name
		return classDuplicate
	case 1213, // deadlock; the whole transaction is rolled back
		1205, // lock wait timeout; only the statement is rolled back, so we undo the rest
		1020: // record has changed since the snapshot (MariaDB, innodb_snapshot_isolation)
		return classContention
	case 1264, // out of range
		1366,             // incorrect value
		1406,             // data too long
		1690,             // arithmetic out of range
		1048, 1265, 1292, // no value, data truncated, incorrect value
		1267, 1270, 1271, 1300, // characters that a column's character set does not have
		3854, // the same, compared with a column (MySQL)
		3819, // check constraint violated (MySQL)
		4025: // check constraint violated (MariaDB)
		return classContent
	case 1040, 1203, 1226, // too many connections, for the server or for this user
		1044, 1045, 1142, 1143, 1698, // access denied: to the database, at login, to table, column
		1820, 1862, // the password has expired
		3118, 4151, // the account is locked (MySQL, MariaDB)
		1049, 1146, 1054, // no such database, table, column: restored halfway, or not migrated
		1053, 1077, 1079, 1927, // shutting down, connection killed
		4031,                         // disconnected after wait_timeout (MySQL)
		1047,                         // not ready for use (a cluster's node that is not in sync)
		1135,                         // no thread for the connection
		1152, 1158, 1159, 1160, 1161, // connection lost on its way
		1021, 1114, // disk full, table full: rolled back, and the same for everybody
		1290, 1792, 1836, // read-only server or transaction
		1036, 1874, // read-only table, or all of InnoDB
		3032,       // offline mode
		1129, 1130, // host blocked, host not allowed
		2002, 2003, 2006, 2013: // the client library's own numbers for a lost server
		return classUnavailable
	default:
		return classUnknown
	}
}

// contentionWord says in a word how a transaction lost, for counting.
func contentionWord(err error) string {
	var reply *mysql.MySQLError
	if !errors.As(err, &reply) {
		return "other"
	}
	switch reply.Number {
	case 1213:
		return "deadlock"
	case 1205:
		return "lock_wait"
	case 1020:
		return "snapshot"
	default:
		return "other"
	}
}

// isLockTimeout says that the server has waited for a lock as long as it may.
func isLockTimeout(err error) bool {
	var reply *mysql.MySQLError
	return errors.As(err, &reply) && reply.Number == 1205
}

// explain adds what was attempted to an error, and tells the guard what to do about it.
func explain(what string, err error) error { return explainTo(remedyOfUser, what, err) }

// explainToOwner is explain for whoever brings the schema and the rights: there is nobody else
// to ask for them.
func explainToOwner(what string, err error) error { return explainTo(remedyOfOwner, what, err) }

// remedies says what somebody can do about an error, if there is something.
type remedies func(code uint16) string

func explainTo(remedy remedies, what string, err error) error {
	plain := bare(err, remedy)
	switch classify(err) {
	case classDuplicate:
		return fmt.Errorf("mysql: %s: %w", what, idem.ErrRaced)
	case classContent:
		return fmt.Errorf("mysql: %s: %w: %w", what, idem.ErrContent, plain)
	case classUnavailable:
		if refused(err) {
			return fmt.Errorf("mysql: %s: %w: %w: %w", what, idem.ErrUnavailable, ErrRefused, plain)
		}
		return fmt.Errorf("mysql: %s: %w: %w", what, idem.ErrUnavailable, plain)
	case classContention, classUnknown:
		return fmt.Errorf("mysql: %s: %w", what, plain)
	default:
		return fmt.Errorf("mysql: %s: %w", what, plain)
	}
}

// isUnverified says that the server's certificate is not one to believe.
func isUnverified(err error) bool {
	var unverified *tls.CertificateVerificationError
	return errors.As(err, &unverified)
}

// isNoLogin says that the server was asked for a way to log in that it has not: TLS, or a kind of
// password. It may be the one that took over after a failover.
func isNoLogin(err error) bool {
	return slices.ContainsFunc([]error{
		mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword, mysql.ErrOldPassword,
		mysql.ErrUnknownPlugin, mysql.ErrOldProtocol,
	}, func(known error) bool { return errors.Is(err, known) })
}

func refused(err error) bool {
	if isUnverified(err) || isNoLogin(err) {
		return true
	}
	var reply *mysql.MySQLError
	if !errors.As(err, &reply) {
		return false
	}
	switch reply.Number {
	case 1044, 1045, 1049, 1054, 1130, 1142, 1143, 1146, 1698, 1820, 1862, 3118, 4151:
		return true
	default:
		return false
	}
}

// bare reduces an error of the server to its number, its meaning and what to do about it: its
// text quotes values.
func bare(err error, remedy remedies) error {
	var reply *mysql.MySQLError
	if !errors.As(err, &reply) {
		return err
	}
	meaning := meaningOf(reply.Number)
	if meaning == "" {
		// An error before the login has no SQLSTATE.
		return fmt.Errorf("server error %d (SQLSTATE %s)", reply.Number,
			strings.Trim(string(reply.SQLState[:]), "\x00"))
	}
	if what := remedy(reply.Number); what != "" {
		meaning += ": " + what
	}
	return fmt.Errorf("%s (server error %d)", meaning, reply.Number)
}

// meaningOf says in words what an operator meets.
func meaningOf(code uint16) string {
	switch code {
	case 1045, 1698:
		return "access denied"
	case 1044:
		return "the user may not use this database"
	case 1142, 1143:
		return "the user lacks a right"
	case 1133, 1410:
		return "no such user"
	case 1820, 1862:
		return "the user's password has expired"
	case 3118, 4151:
		return "the user's account is locked"
	case 1130:
		return "the server accepts no connections from this host"
	case 1049:
		return "no such database"
	case 1054, 1146:
		return "a table or a column is missing"
	case 1040, 1203, 1226:
		return "too many connections"
	case 1021, 1114:
		return "the disk is full"
	case 1036, 1290, 1792, 1836, 1874:
		return "the server is read-only"
	case 1205:
		return "a row or a table stayed locked by another session"
	case 1213:
		return "deadlock"
	default:
		return ""
	}
}

// remedyOfUser is for the consumer's own user, whose rights the migration grants.
func remedyOfUser(code uint16) string {
	switch code {
	case 1044:
		return "check its name, or run payment-consumer migrate"
	case 1142, 1143:
		return "run payment-consumer migrate to grant it"
	case 1054, 1146:
		return "run payment-consumer migrate"
	default:
		return remedyOfOwner(code)
	}
}

// remedyOfOwner is for the user that owns the schema, and for what concerns every user.
func remedyOfOwner(code uint16) string {
	switch code {
	case 1045, 1698:
		return "check the user and the password"
	case 1044, 1142, 1143:
		return "check the database's name, and that migrate.user has all rights on it"
	case 1133, 1410:
		return "create the database user first"
	case 1049:
		return "check the database's name"
	case 1054, 1146:
		return "somebody has changed the schema by hand: bring back what is missing"
	default:
		return ""
	}
}
