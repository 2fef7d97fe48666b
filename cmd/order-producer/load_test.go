package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/payment/internal/rocketmq"
)

// loadArgs send 400 messages of every kind.
func loadArgs(more ...string) []string {
	return append([]string{"load", "--orders", "200", "--repeat", "50%", "--alter", "0.25",
		"--malform", "25%", "--seed", "7", "--run-id", "trial", "-o", "json"}, more...)
}

var timeless = cmpopts.IgnoreFields(summary{}, "Seconds", "Rate")

func allOf(n int) counts { return counts{Messages: n, Acknowledged: n} }

func TestLoad(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	path := filepath.Join(t.TempDir(), "journal")
	r := s.run(loadArgs("--journal", path)...).want(t, 0)
	seed := uint64(7)
	want := summary{
		Seed: &seed, RunID: "trial", Orders: 200, counts: allOf(400),
		Kinds: map[kind]counts{
			first: allOf(200), repeat: allOf(100), altered: allOf(50), malformed: allOf(50),
		},
	}
	if diff := cmp.Diff(want, read[summary](t, r.stdout), timeless,
		cmp.AllowUnexported(summary{})); diff != "" {
		t.Error(diff)
	}
	if r.stderr != "order-producer: seed 7, run ID trial\n" {
		t.Errorf("stderr %q", r.stderr)
	}
	checkJournal(t, readJournal(t, path), s.broker.sent, "trial")
	for _, out := range s.broker.sent {
		if out.Topic != "ORDER_PAYMENT" || out.Tag != "pay" ||
			!strings.HasPrefix(out.Key, "ORDERID_trial-7-") {
			t.Fatalf("sent %+v", out)
		}
	}
}

// checkJournal: each message has its line before and its line after, and what they say is what
// was sent.
func checkJournal(t *testing.T, entries []entry, sent []rocketmq.Outgoing, runID string) {
	t.Helper()
	begun := map[int64]entry{}
	fates := map[string]entry{}
	for _, e := range entries {
		if e.RunID != runID {
			t.Fatalf("run ID of %+v", e)
		}
		if e.Status == sending {
			if e.MessageID != "" || begun[e.N].N != 0 {
				t.Fatalf("begun twice or with an ID: %+v", e)
			}
			begun[e.N] = e
			continue
		}
		b, ok := begun[e.N]
		if !ok || fates[e.MessageID].N != 0 {
			t.Fatalf("ended without a beginning, or twice: %+v", e)
		}
		fates[e.MessageID] = e
		e.MessageID, e.Status, e.Sends, e.Error = "", sending, 0, ""
		if diff := cmp.Diff(b, e); diff != "" {
			t.Fatal(diff)
		}
	}
	if len(begun) != len(fates) {
		t.Errorf("%d begun, %d ended", len(begun), len(fates))
	}
	ids := map[string]bool{}
	for _, out := range sent {
		ids[out.ID] = true
		if e, ok := fates[out.ID]; !ok || e.OrderID != out.Key {
			t.Fatalf("%s of %s was sent, and the journal has %+v", out.ID, out.Key, e)
		}
	}
	if len(ids) != len(fates) {
		t.Errorf("%d messages were sent, and the journal has %d", len(ids), len(fates))
	}
}

// TestLoad_SameAgain: seed and run ID make the same messages, whoever sends first.
func TestLoad_SameAgain(t *testing.T) {
	t.Parallel()
	bodies := func() map[string]int {
		s := newSetup(t)
		s.run(loadArgs("--workers", "8")...).want(t, 0)
		all := map[string]int{}
		for _, out := range s.broker.sent {
			all[out.Key+string(out.Body)]++
		}
		return all
	}
	if diff := cmp.Diff(bodies(), bodies()); diff != "" {
		t.Error(diff)
	}
}

// TestLoad_Failures: they are counted by status and by text, in bounded room, and the status is 1.
func TestLoad_Failures(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.environ = []string{"PAYMENT_ROCKETMQ_UNKNOWN_REPEATS=0"}
	s.broker.answer = func(n int, _ rocketmq.Outgoing) error {
		switch {
		case n <= 100:
			return fmt.Errorf("%w: %d", errRefused, n)
		case n <= 103:
			return errUnknown
		}
		return nil
	}
	path := filepath.Join(t.TempDir(), "journal")
	got := read[summary](t, s.run(loadArgs("--journal", path)...).want(t, 1).stdout)
	want := counts{Messages: 400, Acknowledged: 297, Failed: 100, Unknown: 3}
	if got.counts != want {
		t.Errorf("got %+v", got.counts)
	}
	total := 0
	for _, n := range got.Errors {
		total += n
	}
	if total != 103 || len(got.Errors) != maxErrorTexts+1 || got.Errors[otherErrors] == 0 {
		t.Errorf("errors %v", got.Errors)
	}
	entries := readJournal(t, path)
	checkJournal(t, entries, s.broker.sent, "trial")
	byStatus := map[status]int{}
	for _, e := range entries {
		byStatus[e.Status]++
		if (e.Error != "") != (e.Status == failed || e.Status == unknown) {
			t.Errorf("%+v", e)
		}
	}
	if diff := cmp.Diff(map[status]int{sending: 400, acknowledged: 297, failed: 100, unknown: 3},
		byStatus); diff != "" {
		t.Error(diff)
	}
}

// TestLoad_Interrupted: no message is begun after the interrupt, those under way are finished
// and counted, and the summary is printed.
func TestLoad_Interrupted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		most int // messages that can have begun by then
	}{
		{loadArgs(), 3 + 32},
		{loadArgs("--rate", "1000000"), 3 + 32},
		{loadArgs("--workers", "1"), 3},
		{loadArgs("--workers", "1", "--rate", "5"), 3},
	} {
		s := newSetup(t)
		var stop context.CancelFunc
		s.ctx, stop = context.WithCancel(s.ctx)
		s.broker.answer = func(n int, _ rocketmq.Outgoing) error {
			if n == 3 {
				stop()
			}
			return nil
		}
		path := filepath.Join(t.TempDir(), "journal")
		r := s.run(append(test.args, "--journal", path)...).want(t, 130)
		got := read[summary](t, r.stdout)
		if !got.Interrupted || got.Messages != len(s.broker.sent) || got.Acknowledged != got.Messages ||
			got.Messages < 3 || got.Messages > test.most || got.Orders != 200 {
			t.Errorf("%q: %+v after %d sends", test.args, got, len(s.broker.sent))
		}
		checkJournal(t, readJournal(t, path), s.broker.sent, "trial")
	}
}

// TestLoad_Rate: messages leave no faster than asked. How fast they do leave is the machine's.
func TestLoad_Rate(t *testing.T) {
	t.Parallel()
	got := read[summary](t, newSetup(t).run("load", "--orders", "60", "--rate", "100", "-o", "jsonl").
		want(t, 0).stdout)
	if got.Seconds < 0.49 { // the first tenth of a second is the burst
		t.Errorf("60 messages at 100 a second took %v s", got.Seconds)
	}
}

func TestLoad_File(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "orders.csv")
	if err := os.WriteFile(path, []byte(someOrders), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSetup(t)
	r := s.run("load", "--file", path, "-o", "json").want(t, 1)
	want := summary{Orders: 3, counts: allOf(3), InvalidLines: 7, Kinds: map[kind]counts{
		first: allOf(3), repeat: {}, altered: {}, malformed: {},
	}}
	if diff := cmp.Diff(want, read[summary](t, r.stdout), timeless,
		cmp.AllowUnexported(summary{})); diff != "" {
		t.Error(diff)
	}
	lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
	if len(lines) != 7 || !strings.HasPrefix(lines[0], "order-producer: "+path+": line 3: ") {
		t.Errorf("stderr %q", lines)
	}
	if len(s.broker.sent) != 3 {
		t.Errorf("sent %d", len(s.broker.sent))
	}
}

func TestLoad_StandardInput(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.stdin = strings.NewReader("order_id,serial_no,payer,payee,amount,currency\nO1,P1,u,s,1,CNY\n")
	r := s.run("load", "--file", "-", "--format", "csv").want(t, 0)
	if len(s.broker.sent) != 1 || !strings.Contains(r.stdout, "first") ||
		strings.Contains(r.stdout, "malformed") || r.stderr != "" {
		t.Errorf("sent %d\n%s%s", len(s.broker.sent), r.stdout, r.stderr)
	}
	s.stdin = strings.NewReader("nonsense\n")
	r = s.run("load", "--file", "-", "--format", "csv").want(t, 1)
	if !strings.Contains(r.stderr, `standard input: the header has "nonsense"`) {
		t.Errorf("stderr %q", r.stderr)
	}
}

// TestLoad_JournalBroken: what cannot be written down is not sent.
func TestLoad_JournalBroken(t *testing.T) {
	t.Parallel()
	file, err := os.Open(os.DevNull) // read-only: writes fail
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{}
	l := loader{
		sender: &sender{broker: b}, workers: 4, pace: pace(0), tally: newTally(),
		journal: &journal{file: file},
	}
	defer func() { _ = l.journal.close() }()
	if err := l.run(t.Context(), fullPlan().source()); err == nil ||
		!strings.HasPrefix(err.Error(), "journal: ") {
		t.Errorf("got %v", err)
	}
	if len(b.sent) > 0 {
		t.Errorf("%d messages were sent", len(b.sent))
	}
}
