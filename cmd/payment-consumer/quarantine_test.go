package main_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestQuarantine_Commands settles messages as an operator does: all that a selection names, each
// once, also when it is named twice.
func TestQuarantine_Commands(t *testing.T) {
	requireStack(t)
	startConsumer(t)
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36) // the stack may have seen this test before
	serial := "QUARANTINE_" + stamp
	for n := range 3 {
		mustRun(t, "order-producer", "send", "--key", "Q_1", "--raw-body", fmt.Sprintf(
			`{"version":1,"order_id":"Q_1","serial_no":"%s","payer":"user-1","payee":"shop-1",`+
				`"amount":-%d,"currency":"CNY"}`, serial, n))
	}
	list := func() (items []struct{ ID, Deliveries int }) {
		out := mustRun(t, "payment-consumer", "quarantine", "list", "--serial", serial, "-o", "json")
		if err := json.Unmarshal([]byte(out), &items); err != nil {
			t.Fatal(err)
		}
		return items
	}
	await(t, "three messages in quarantine", func() bool { return len(list()) == 3 })
	o := run(t, "payment-consumer", nil, "quarantine", "list", "--serial", serial, "--limit", "2")
	if o.status != 0 || strings.Count(o.stdout, serial) != 2 ||
		!strings.Contains(o.stderr, "there are more") {
		t.Errorf("two of three listed: %+v", o)
	}
	if why := mustRun(t, "payment-consumer", "why", serial); strings.Count(why, ", rejected (") != 3 {
		t.Errorf("why says:\n%s", why)
	}
	settle := func(want string, args ...string) {
		t.Helper()
		out := mustRun(t, "payment-consumer", append([]string{"quarantine"}, args...)...)
		if !strings.HasSuffix(out, want+", 0 failed\n") {
			t.Errorf("%q said %q, want %q at its end", args, out, want)
		}
	}
	settle("3 would be settled", "replay", "--serial", serial, "--dry-run")
	id := strconv.Itoa(list()[1].ID)
	settle("1 settled", "replay", id, id)
	await(t, "the replayed one to be back, and open", func() bool {
		items := list()
		return len(items) == 3 && items[1].Deliveries >= 2
	})
	settle("3 settled", "discard", "--serial", serial, "--rate", "1000")
	if left := list(); len(left) != 0 {
		t.Errorf("%d messages are open after all were discarded", len(left))
	}
	o = run(t, "payment-consumer", nil, "quarantine", "discard", id, "999999999")
	if o.status != 1 || !strings.Contains(o.stdout, "is discarded already") ||
		!strings.Contains(o.stdout, "not in quarantine") {
		t.Errorf("discarded again: %+v", o)
	}
}
