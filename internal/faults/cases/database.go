package cases

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"example.com/payment/internal/faults"
)

// Codes of the database server that cases wait for.
const (
	duplicateKey       = 1062
	lockWaitTimeout    = 1205
	deadlocked         = 1213
	snapshotChanged    = 1020
	tooManyConnections = 1040
	tableFull          = 1114
	readOnly           = 1290
)

func database() []faults.Case {
	return []faults.Case{{
		ID: "F45", Title: "an account stays locked for longer than a transaction waits",
		Faults: []string{"lock wait timeout"}, Run: lockAccount,
	}, {
		ID: "F45d", Title: "sessions lock accounts the other way round, and the service loses",
		Faults: []string{"deadlock"}, Run: crossLocks,
	}, {
		ID: "F46", Title: "the server answers each statement with each error",
		Faults: []string{"error at a statement", "error after COMMIT", "error that nobody knows"},
		Run:    refuseStatements,
	}, {
		ID: "F47", Title: "the server's own isolation level is another one",
		Faults: []string{"isolation level", "lost race for a key"}, Run: isolationLevels,
	}, {
		ID: "F48", Title: "the database is read-only",
		Faults: []string{"read-only"},
		Run:    outage{"read-only", readOnly, makeReadOnly}.run,
	}, {
		ID: "F50", Title: "the database's disk is full",
		Alone: true, Stack: smallDisk, Faults: []string{"disk full"},
		Run: outage{"disk full", tableFull, fillDisk}.run,
	}, {
		ID: "F52", Title: "others have all of the database's connections",
		Faults: []string{"connections exhausted"},
		Run:    outage{"connections exhausted", tooManyConnections, occupy}.run,
	}, {
		// Alone, because it changes the schema, and needs a server that writes a binary log.
		ID: "F54", Title: "a database or a group that is not safe is refused at the start",
		Alone: true, Stack: withBinaryLog, Faults: []string{"unsafe setting"}, Run: refuseUnsafe,
	}}
}

// errNoVariable says that the server is of another make, or older.
var errNoVariable = errors.New("the server has no such variable")

// global reads a variable of the server, the first that it has of several names.
func global(
	ctx context.Context, r *faults.Rig, names ...string,
) (name, value string, err error) {
	for _, name = range names {
		rows, err := r.SQL.QueryContext(ctx,
			fmt.Sprintf("SHOW GLOBAL VARIABLES WHERE variable_name = '%s'", name))
		if err != nil {
			return "", "", err
		}
		found := rows.Next()
		if found {
			err = rows.Scan(&name, &value)
		}
		if err := errors.Join(err, rows.Err(), rows.Close()); err != nil || found {
			return name, value, err
		}
	}
	return "", "", fmt.Errorf("%q: %w", names, errNoVariable)
}

// setGlobal changes a variable of the server, for sessions that begin later, and returns what
// changes it back. Of several names the first is meant that the server has.
func setGlobal(
	ctx context.Context, r *faults.Rig, value string, names ...string,
) (restore func() error, err error) {
	name, before, err := global(ctx, r, names...)
	if err != nil {
		return nil, err
	}
	set := func(ctx context.Context, value string) error {
		// A number in quotes is refused, and a word without them.
		if _, err := strconv.Atoi(value); err != nil {
			value = "'" + value + "'"
		}
		_, err := r.SQL.ExecContext(ctx, fmt.Sprintf("SET GLOBAL %s = %s", name, value))
		return err
	}
	restore = func() error { return set(context.WithoutCancel(ctx), before) }
	return restore, set(ctx, value)
}

// change runs a statement of the administrator's, and returns what runs the one that undoes it.
func change(
	ctx context.Context, r *faults.Rig, statement, back string,
) (restore func() error, err error) {
	_, err = r.SQL.ExecContext(ctx, statement)
	return func() error {
		_, err := r.SQL.ExecContext(context.WithoutCancel(ctx), back)
		return err
	}, err
}

// count runs a query that counts.
func count(ctx context.Context, r *faults.Rig, query string, args ...any) (n int, err error) {
	err = r.SQL.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}
