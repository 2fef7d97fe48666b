package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/textbook"
)

// The RocketMQ client has a goroutine before anybody calls it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// Every action that a page can ask for is done by somebody.
func TestStage_DoesAll(t *testing.T) {
	t.Parallel()
	s := &Stage{changed: make(chan struct{}, 1)}
	for _, a := range lab.Actions() {
		if s.act(a.ID) == nil {
			t.Errorf("nobody does %s", a.ID)
		}
	}
	if err := s.Do(t.Context(), "rm", lab.Input{}, nil); err == nil {
		t.Error("it does what there is not")
	}
}

// Each line that is told of an order of writes or a server is one of the catalogue.
func TestStage_Words(t *testing.T) {
	t.Parallel()
	c, err := lab.LoadCatalogue("en")
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range []textbook.Order{
		textbook.Right, textbook.CacheFirst, textbook.CheckThenAct, textbook.MessageID,
	} {
		keys = append(keys, "order."+string(o), "did.ledger."+string(o), "did.try."+string(o))
	}
	for _, name := range []devstack.Server{devstack.Redis, devstack.MySQL, devstack.Broker} {
		keys = append(keys, "did.stopped."+word(name), "did.started."+word(name))
	}
	for _, outcome := range []string{"paid", "declined", "duplicate", "conflict"} {
		keys = append(keys, "did.answer."+outcome)
	}
	for _, by := range []string{"transaction", "batch", "cache", "database", "unique_key", ""} {
		keys = append(keys, "by."+by)
	}
	for _, key := range keys {
		if c[key] == "" {
			t.Errorf("the catalogue has no %s", key)
		}
	}
}

const page = `# HELP payment_ready 1 if it is there.
payment_ready{dependency="database"} 0
payment_ready{dependency="cache"} 1
payment_cache_lookups_total{result="hit"} 3
payment_cache_lookups_total{result="miss"} 4
payment_cache_lookups_total_created{result="hit"} 1e9
payment_assigned_queues{kind="orders"} 8
payment_broken NaN?
`

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := metrics(page)
	for _, test := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"payment_cache_lookups_total", nil, 7},
		{"payment_cache_lookups_total", []string{`result="hit"`}, 3},
		{"payment_assigned_queues", []string{`kind="orders"`}, 8},
		{"payment_cache", nil, 0},
		{"payment_broken", nil, 0},
	} {
		if got := m.sum(test.name, test.labels...); got != test.want {
			t.Errorf("%s %v = %v, want %v", test.name, test.labels, got, test.want)
		}
	}
	if diff := cmp.Diff([]string{"database"}, m.down()); diff != "" {
		t.Errorf("down (-want +got):\n%s", diff)
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	if err := devstack.Until(t.Context(), "nothing", time.Minute, func() bool { return true }); err != nil {
		t.Error(err)
	}
	never := func() bool { return false }
	if err := devstack.Until(t.Context(), "never", time.Millisecond, never); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := devstack.Until(ended, "never", time.Minute, never); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	devstack.Pause(ended, time.Minute)
}

func TestLine(t *testing.T) {
	t.Parallel()
	got := line("did.x", "n", 3, "serial", "PAY_1", "odd")
	want := lab.Line{Key: "did.x", Args: map[string]string{"n": "3", "serial": "PAY_1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckPrograms(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := CheckPrograms(folder); err == nil {
		t.Error("an empty folder has all programs")
	}
	if err := os.WriteFile(filepath.Join(folder, "payment-consumer"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckPrograms(folder); err != nil {
		t.Error(err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	broken := func(rule string) lab.Finding { return lab.Finding{Rule: rule, Violations: 1} }
	for name, test := range map[string]struct {
		findings []lab.Finding
		order    textbook.Order
		want     string
	}{
		"None":              {nil, textbook.Right, lab.AuditOK},
		"Fine":              {[]lab.Finding{{Rule: "I1"}}, textbook.Right, lab.AuditOK},
		"Violated":          {[]lab.Finding{{Rule: "I1"}, broken("I5")}, textbook.Right, lab.AuditViolated},
		"Incomplete":        {[]lab.Finding{{Rule: "I8", Incomplete: true}}, textbook.Right, lab.AuditBlind},
		"ViolatedAndBlind":  {[]lab.Finding{{Incomplete: true}, broken("I5")}, textbook.Right, lab.AuditViolated},
		"Lost":              {[]lab.Finding{broken("I8")}, textbook.CacheFirst, lab.AuditViolated},
		"OtherKeys":         {[]lab.Finding{{Rule: "I1"}, broken("I8")}, textbook.MessageID, lab.AuditOK},
		"OtherKeysViolated": {[]lab.Finding{broken("I5"), broken("I8")}, textbook.MessageID, lab.AuditViolated},
	} {
		if got := judge(lab.Audit{}, test.findings, "", test.order).State; got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
