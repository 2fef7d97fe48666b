package faults

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"
)

// TestRig_Transactions: a transaction is seen while it is open, and is not when it has ended,
// by somebody who looks again and again.
func TestRig_Transactions(t *testing.T) {
	t.Parallel()
	dsn := os.Getenv("PAYMENT_TEST_MYSQL_ROOT")
	if dsn == "" {
		const message = "PAYMENT_TEST_MYSQL_ROOT is not set: needs a database"
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r := &Rig{SQL: db}

	conn, err := db.Conn(ctx) // kept, for whoever gets it next would not count its transaction
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var id int
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	// Some looks, because another test may look as well and keep the server from renewing.
	sees := func(want int, what string) {
		err := Until(ctx, what, patience/3, func() bool {
			got, err := r.Transactions(ctx, fmt.Sprint("trx_mysql_thread_id = ", id))
			if err != nil {
				t.Fatal(err)
			}
			return got == want
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
	sees(1, "an open transaction to be seen")
	run("ROLLBACK")
	sees(0, "a transaction that has ended to be seen no more")
}
