package payment_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/idem/idemtest/sim"
)

// point is a place at which a process can fail, and how.
type point struct {
	step idemtest.Step
	fate sim.Fate
	only func(c *sim.Call) bool
}

// row is a row of DESIGN.md's crash table: the points that it stands for, what must be seen to
// come of them, and whether the row of the ledger is there, so that nothing is decided any more.
type row struct {
	after  string
	points []point
	then   []string
	stored bool
}

func crashTable() []row {
	return []row{
		{"receive, decode, steps 1 and 2", []point{
			{sim.Receive, sim.CrashBefore, nil},
			{idemtest.Get, sim.CrashBefore, nil},
			{idemtest.Get, sim.CrashAfter, nil},
			{idemtest.Find, sim.CrashBefore, nil},
			{idemtest.Find, sim.CrashAfter, nil},
			{idemtest.Find, sim.Before, nil},
		}, []string{"decided"}, false},
		{"BEGIN … before COMMIT reaches the server", []point{
			{idemtest.Commit, sim.CrashBefore, nil},
			{idemtest.Commit, sim.Before, nil},
		}, []string{"decided"}, false},
		{"COMMIT sent, its answer lost", []point{
			{idemtest.Commit, sim.CrashAfter, nil},
			{idemtest.Commit, sim.After, nil},
			{idemtest.Commit, sim.Later, nil},
			{idemtest.Commit, sim.Contended, nil},
		}, []string{"decided", "duplicate by database", "duplicate by unique key"}, false},
		// To the service it is a commit that never was: that nobody has answered from it meanwhile is
		// what a Store promises of Find.
		{"COMMIT is visible, the *database* crashes before it is on the disk", []point{
			{idemtest.Commit, sim.CrashBefore, nil},
			{idemtest.Commit, sim.Before, nil},
		}, []string{"decided"}, false},
		{"COMMIT, before the cache write", []point{
			{idemtest.Put, sim.CrashBefore, nil},
			{idemtest.Put, sim.Before, nil},
		}, []string{"duplicate by database"}, true},
		{"the cache write, before the result message", []point{
			{idemtest.Put, sim.CrashAfter, nil},
			{idemtest.Put, sim.CrashOpen, nil},
			{sim.Answer, sim.CrashBefore, settled},
			{result, sim.CrashBefore, settled},
		}, []string{"duplicate by cache"}, true},
		{"the quarantine insert of a conflict, before its result", []point{
			{quarantine, sim.CrashAfter, conflicting},
			{quarantine, sim.CrashOpen, conflicting},
			{result, sim.CrashBefore, conflicting},
		}, []string{"conflict"}, false},
		{"the result message is refused", []point{
			{result, sim.Before, refused},
			{result, sim.After, refused},
			{result, sim.Later, refused},
		}, []string{"sent again"}, true},
		{"the result message, before the acknowledgement", []point{
			{result, sim.CrashAfter, settled},
			{result, sim.CrashOpen, settled},
			{sim.Ack, sim.CrashBefore, settled},
			{sim.Ack, sim.Before, settled},
		}, []string{"duplicate by cache"}, true},
		{"anywhere, with the consumer paused or cut off inside a transaction", []point{
			{idemtest.Commit, sim.Paused, nil},
			{idemtest.Commit, sim.CrashOpen, nil},
		}, []string{"decided", "duplicate by database"}, false},
	}
}

func settled(c *sim.Call) bool {
	return c.Delivery.Verdict == idem.Decided || c.Delivery.Verdict == idem.Duplicate
}

func conflicting(c *sim.Call) bool { return c.Delivery.Verdict == idem.Conflict }

func refused(c *sim.Call) bool { return errors.Is(c.Err, idem.ErrUnavailable) }

// census counts, over many runs, what failed where and what came of it.
type census struct {
	rows []row
	hits map[string]int         // by point
	then map[int]map[string]int // by row

	// Of the run that is under way:
	shop  *shop
	open  map[idem.Key][]failure // that wait for the next delivery
	clock int                    // counts what is received
	since map[int]int            // when a delivery was received, the last time
}

type failure struct{ row, at int }

func newCensus() *census {
	return &census{
		rows: crashTable(), hits: make(map[string]int), then: make(map[int]map[string]int),
	}
}

// begin is to be called before each run.
func (c *census) begin(s *shop) {
	c.shop, c.open, c.since = s, make(map[idem.Key][]failure), make(map[int]int)
}

func (c *census) observe(call *sim.Call, fate sim.Fate) {
	keys := call.Keys
	if d := call.Delivery; d != nil {
		keys = []idem.Key{idem.Key(c.shop.orders[d.Message].Serial)}
		switch {
		case call.Step == sim.Receive:
			c.clock++
			c.since[d.ID] = c.clock
		case call.Step == sim.Answer:
			c.follow(keys[0], c.since[d.ID], told(d))
		case call.Step == result:
			c.follow(keys[0], c.clock+1, "sent again")
		}
	}
	for i, r := range c.rows {
		for _, p := range r.points {
			if p.step != call.Step || p.fate != fate || p.only != nil && !p.only(call) {
				continue
			}
			c.hits[p.name(i)]++
			for _, key := range keys {
				c.open[key] = append(c.open[key], failure{i, c.clock})
			}
		}
	}
}

func (p point) name(row int) string { return fmt.Sprintf("%d %s: %s", row, p.step, p.fate) }

// told puts the last verdict of a delivery into words.
func told(d *sim.Delivery) string {
	switch d.Verdict {
	case idem.Decided:
		return "decided"
	case idem.Conflict:
		return "conflict"
	case idem.Retry:
		return "retry"
	case idem.Duplicate:
	}
	by := map[idem.Source]string{
		idem.ByBatch: "batch", idem.ByCache: "cache", idem.ByStore: "database",
		idem.ByUnique: "unique key",
	}
	return "duplicate by " + by[d.By]
}

// follow notes what came of the failures of a key that happened before this was received. A retry
// is not the end of it, and only a refused result is sent again without being decided again.
func (c *census) follow(key idem.Key, since int, what string) {
	c.open[key] = slices.DeleteFunc(c.open[key], func(f failure) bool {
		held := slices.Equal(c.rows[f.row].then, []string{"sent again"})
		if f.at >= since || what == "retry" || held != (what == "sent again") {
			return false
		}
		if c.then[f.row] == nil {
			c.then[f.row] = make(map[string]int)
		}
		c.then[f.row][what]++
		return true
	})
}

// check logs the census, and fails for every point and every sequel that was never seen.
func (c *census) check(t *testing.T) {
	t.Helper()
	for i, r := range c.rows {
		t.Logf("after %s", r.after)
		for _, p := range r.points {
			n := c.hits[p.name(i)]
			t.Logf("%8d  %s: %s", n, p.step, p.fate)
			if n == 0 {
				t.Errorf("after %s: nothing failed at %q: %s", r.after, p.step, p.fate)
			}
		}
		for _, what := range slices.Sorted(maps.Keys(c.then[i])) {
			t.Logf("%8d  then %s", c.then[i][what], what)
		}
		for _, what := range r.then {
			if c.then[i][what] == 0 {
				t.Errorf("after %s: the next delivery was never told: %s", r.after, what)
			}
		}
		if n := c.then[i]["decided"]; r.stored && n > 0 {
			t.Errorf("after %s: %d deliveries were decided again", r.after, n)
		}
	}
}

// TestService_CrashTable lets services crash and fail at every point of DESIGN.md's crash table,
// in thousands of interleavings, and wants every message to come to its right end.
func TestService_CrashTable(t *testing.T) {
	t.Parallel()
	first, last := sim.Seeds(t, 3000)
	start := time.Now()
	steps := 0
	c := newCensus()
	synctest.Test(t, func(t *testing.T) {
		for seed := first; seed < last; seed++ {
			s := newShop(seed, c.observe)
			c.begin(s)
			if err := s.run.Run(); err != nil {
				t.Fatal(err)
			}
			steps += len(s.run.Trace())
		}
	})
	t.Logf("%d runs with %d steps in %v", last-first, steps, time.Since(start))
	if last-first > 1000 {
		c.check(t)
	}
}

// TestService_CrashTableIsWhole compares the rows that are tested with those that are promised.
func TestService_CrashTableIsWhole(t *testing.T) {
	t.Parallel()
	design, err := os.ReadFile("../../DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(design), "\n## The crash table\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var promised, tested []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| ") {
			promised = append(promised, strings.TrimSpace(strings.Split(line, "|")[1]))
		}
	}
	for _, r := range crashTable() {
		tested = append(tested, r.after)
	}
	if diff := cmp.Diff(append([]string{"after"}, tested...), promised); diff != "" {
		t.Errorf("rows of DESIGN.md's crash table (+) and of this test (-):\n%s", diff)
	}
}

// TestService_CrashTableRepeats runs seeds twice, and wants the same to happen.
func TestService_CrashTableRepeats(t *testing.T) {
	t.Parallel()
	ignore := func(*sim.Call, sim.Fate) {}
	synctest.Test(t, func(t *testing.T) {
		for seed := range uint64(100) {
			a, b := newShop(seed, ignore), newShop(seed, ignore)
			if err := errors.Join(a.run.Run(), b.run.Run()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a.run.Trace(), b.run.Trace()); diff != "" {
				t.Fatalf("seed %d took two courses:\n%s", seed, diff)
			}
		}
	})
}
