package main_test

import (
	"strings"
	"testing"
)

// TestArchive_Command runs it beside a consumer, as its own user, which has nothing old to move.
func TestArchive_Command(t *testing.T) {
	requireStack(t)
	db := database(t)
	startConsumer(t)
	before := decisions(t, db)
	mustRun(t, "order-producer", "load", "--orders", "50", "--seed", "13")
	await(t, "50 decisions", func() bool { return decisions(t, db)-before >= 50 })
	out := mustRun(t, "payment-consumer", "archive", "--days", "1", "--batch", "7", "--pause", "0s")
	if !strings.Contains(out, "entries: 0 of ") || !strings.Contains(out, "quarantine: 0 of ") {
		t.Errorf("archive says:\n%s", out)
	}
	audit(t)
	for _, args := range [][]string{
		{"archive"}, {"archive", "--days", "0"}, {"archive", "--days", "1", "--batch", "901"},
		{"archive", "--days", "1", "--pause", "-1s"}, {"archive", "--days", "1", "--limit", "-1"},
	} {
		if o := run(t, "payment-consumer", nil, args...); o.status != 2 || len(o.lines()) != 1 {
			t.Errorf("%v: status %d\n%s", args, o.status, o.stderr)
		}
	}
	o := run(t, "payment-consumer", []string{"PAYMENT_ARCHIVE_PASSWORD=wrong"}, "archive", "--days", "1")
	if o.status != 1 || !strings.Contains(o.stderr, "access denied") {
		t.Errorf("with a wrong password: status %d\n%s", o.status, o.stderr)
	}
}
