package faults

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOwnRaces: a race counts when our code has a part in it.
func TestOwnRaces(t *testing.T) {
	t.Parallel()
	const client = "Read at 0x1 by goroutine 1:\n  client.(*pushConsumer).pull()\n"
	const started = "\n\nGoroutine 1 (running) created at:\n" +
		"  example.com/payment/internal/rocketmq.(*Consumer).join()\n"
	log := "{}\n==================\nWARNING: DATA RACE\n" + client + started + "==================\n" +
		"{}\n==================\nWARNING: DATA RACE\n" + client +
		"  example.com/payment/internal/idem.(*Guard).run()\n==================\n{}\n"
	want := []string{"Read at 0x1 by goroutine 1: client.(*pushConsumer).pull() " +
		"example.com/payment/internal/idem.(*Guard).run()"}
	if diff := cmp.Diff(want, OwnRaces(log)); diff != "" {
		t.Error(diff)
	}
	if got := WithoutRaces(log + "Found 2 data race(s)\n"); got != "{}\n{}\n{}\n" {
		t.Errorf("without them the log is %q", got)
	}
	begun := "{}\n==================\n"
	for _, part := range []string{"", "WARN", "ING: DATA RACE\n", client} {
		if begun += part; WithoutRaces(begun) != "{}\n" {
			t.Errorf("without a report that is being written, %q is %q", begun, WithoutRaces(begun))
		}
	}
	if len(OwnRaces("nothing")) != 0 {
		t.Error("a race in a log without one")
	}
}
