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
	// A few looks, because another test may look as well and keep the server from renewing.
	sees := func(want int) bool {
		for range 5 {
			got, err := r.Transactions(ctx, fmt.Sprint("trx_mysql_thread_id = ", id))
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return true
			}
		}
		return false
	}
	run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
	if !sees(1) {
		t.Error("an open transaction is not seen")
	}
	run("ROLLBACK")
	if !sees(0) {
		t.Error("a transaction that has ended is still seen")
	}
}
