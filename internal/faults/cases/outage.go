package cases

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
)

// outage is a database that answers and takes nothing.
type outage struct {
	// kind names the fault, code is what the server says then.
	kind string
	code uint16
	// begin makes it so and returns what ends it.
	begin func(context.Context, *faults.Rig) (end func() error, err error)
}

// outageLength is how long a consumer must have been unready in a row. Redeliveries come after a
// second here, so that whatever climbed the ladder would do so several times.
const outageLength = 5 * time.Second

// run lets a load meet the outage. It is held: the consumer is not ready, nothing is given back to
// the broker, and afterwards everything is answered at its first delivery.
func (o outage) run(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	return nothingGivenBack(ctx, r, func() error { return o.meet(ctx, r, c) })
}

func (o outage) meet(ctx context.Context, r *faults.Rig, c *faults.Consumer) (err error) {
	first, refusals := len(r.Record.All()), r.Database.Errors(o.code)
	end, err := o.begin(ctx, r)
	if err != nil {
		return err
	}
	end = sync.OnceValue(end)
	defer func() { err = errors.Join(err, end()) }()
	for r.Database.Errors(o.code) == refusals {
		if err := o.load(ctx, r, refusals); err != nil {
			return err
		}
	}
	if err := stayUnready(ctx, c, outageLength); err != nil {
		return err
	}
	r.Journal.FiredTimes(o.kind, r.Database.Errors(o.code)-refusals, "the server's errors")
	if err := end(); err != nil {
		return err
	}
	return errors.Join(firstDeliveries(ctx, r, r.Record.All()[first:]), c.AwaitReady(ctx))
}

// load sends orders and waits until one of them is refused, or all are answered: while there is
// room in the pages that a table has, a full disk still takes some.
func (o outage) load(ctx context.Context, r *faults.Rig, refusals int) error {
	first := len(r.Record.All())
	r.Sender.Load(ctx, faults.Mix{Orders: 100, Repeat: 0.2, Alter: 0.02})
	sent := r.Record.All()[first:]
	return faults.Until(ctx, "orders to be refused", soon, func() bool {
		answered := r.Answers.Answered()
		for _, m := range sent {
			if answered[m.ID] == 0 {
				return r.Database.Errors(o.code) > refusals
			}
		}
		return true
	})
}

// makeReadOnly is what happens to a server from which another one has taken over. The rig's own
// user may write all the same; the service's may not.
func makeReadOnly(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	return setGlobal(ctx, r, "ON", "read_only")
}

// smallDisk puts the tables into one file that does not grow: to InnoDB a full disk is a file that
// it cannot extend, and this one is full without the right to mount anything.
func smallDisk(o *devstack.Options) {
	o.MySQL = map[string]string{
		"innodb-file-per-table": "OFF", "innodb-data-file-path": "ibdata1:24M",
	}
}

// fillDisk fills the rest of the file with rows that somebody else might have put there. They are
// small enough to stand in their pages: MariaDB 11.4 ends itself when it has to undo a BLOB for
// which there was no room.
func fillDisk(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	end, err = change(ctx, r,
		"CREATE TABLE ballast (n INT AUTO_INCREMENT PRIMARY KEY, b VARBINARY(4000)) ENGINE = InnoDB",
		"DROP TABLE ballast")
	if err != nil {
		return nil, err
	}
	for _, rows := range []int{200, 20, 1} {
		const row = "(REPEAT('x', 3000))"
		statement := "INSERT INTO ballast (b) VALUES " + strings.Repeat(row+",", rows-1) + row
		for err == nil {
			_, err = r.SQL.ExecContext(ctx, statement)
		}
		if !isCode(err, tableFull) {
			return nil, errors.Join(err, end())
		}
		err = nil
	}
	return end, nil
}

func isCode(err error, code uint16) bool {
	var reply *mysql.MySQLError
	return errors.As(err, &reply) && reply.Number == code
}

// slots is how many connections the server allows while others have them all.
const slots = "20"

// occupy ends the consumers' connections and takes every one that the server allows, but for two
// that the rig needs itself. Then nobody else gets in: the administrator's one more is taken too.
func occupy(ctx context.Context, r *faults.Rig) (end func() error, err error) {
	if _, err := r.Database.Down(); err != nil {
		return nil, err
	}
	restore, err := setGlobal(ctx, r, slots, "max_connections")
	if err != nil {
		return nil, err
	}
	var held []*sql.Conn
	end = func() error {
		problems := []error{restore()}
		for _, conn := range held {
			problems = append(problems, conn.Close())
		}
		return errors.Join(append(problems, r.Database.Up())...)
	}
	var failed error
	err = faults.Until(ctx, "all connections", soon, func() bool {
		for failed == nil {
			conn, err := r.SQL.Conn(ctx)
			if isCode(err, tooManyConnections) {
				break
			}
			if failed = err; err == nil {
				held = append(held, conn)
			}
		}
		return failed != nil || onlyOurs(ctx, held)
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, errors.Join(err, end())
	}
	for range 2 {
		_ = held[0].Close() // stays open, for the rig's next question
		held = held[1:]
	}
	if err := r.Database.Up(); err != nil {
		return nil, errors.Join(err, end())
	}
	return end, nil
}

// onlyOurs says whether the server has no connections but these: one that somebody else still has
// would be free again when they leave.
func onlyOurs(ctx context.Context, held []*sql.Conn) bool {
	if len(held) < 3 {
		return false
	}
	var name string
	var connected int
	err := held[0].QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Threads_connected'").
		Scan(&name, &connected)
	return err == nil && connected == len(held)
}
