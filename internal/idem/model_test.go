package idem_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// chaos breaks calls at random.
type chaos struct {
	mu  sync.Mutex
	rng *rand.Rand
	hit int
}

// fault breaks one call in four: before or after the work, with an error or with a panic.
func (c *chaos) fault(errs ...error) idemtest.Fault {
	return func(ctx context.Context, do func() error) error {
		c.mu.Lock()
		dice, err := c.rng.IntN(16), errs[c.rng.IntN(len(errs))]
		if dice < 4 {
			c.hit++
		}
		c.mu.Unlock()
		switch dice {
		case 0:
			return idemtest.FailBefore(err)(ctx, do)
		case 1:
			return idemtest.FailAfter(err)(ctx, do)
		case 2:
			return idemtest.PanicBefore("chaos")(ctx, do)
		case 3:
			return idemtest.PanicAfter("chaos")(ctx, do)
		default:
			return do()
		}
	}
}

// TestGuard_Process_Chaos lets many goroutines deliver few keys through two guards with caches of
// their own, while everything fails at random. What was answered must be true, and agree.
func TestGuard_Process_Chaos(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("Seed", seed), func(t *testing.T) {
			t.Parallel()
			runChaos(t, seed)
		})
	}
}

func runChaos(t *testing.T, seed uint64) {
	const workers, deliveries, keys, contents = 16, 150, 24, 2
	s := idemtest.NewStore(idemtest.Echo[string])
	mess := &chaos{rng: rand.New(rand.NewPCG(seed, 1))}
	s.Break(idemtest.Find, mess.fault(idem.ErrUnavailable, errBroken))
	s.Break(idemtest.Commit,
		mess.fault(idem.ErrUnavailable, errBroken, idem.ErrRaced, idem.ErrContent))
	var caches []*cache
	var guards []*idem.Guard[string, string]
	for range 2 {
		c := idemtest.NewCache[string]()
		c.Break(idemtest.Get, mess.fault(errBroken))
		c.Break(idemtest.Put, mess.fault(errBroken))
		g := idem.New(s, c, idem.Options{BatchMax: 7})
		defer g.Close()
		caches, guards = append(caches, c), append(guards, g)
	}
	var tally idemtest.Tally[string]
	deliver := func(g, key, content int) {
		k := idem.Key(fmt.Sprint("key-", key))
		req := idemtest.Request(k, fmt.Sprint("content ", content))
		tally.Add(k, content, guards[g].Process(t.Context(), req))
	}
	var wg sync.WaitGroup
	for w := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(w)+2))
		wg.Go(func() {
			for range deliveries {
				if rng.IntN(50) == 0 {
					caches[rng.IntN(2)].Flush()
				}
				deliver(rng.IntN(2), rng.IntN(keys), rng.IntN(contents))
			}
		})
	}
	wg.Wait()
	if mess.hit == 0 {
		t.Fatal("nothing failed: this run shows nothing")
	}
	s.Mend()
	for g, c := range caches {
		c.Mend()
		for key := range keys {
			deliver(g, key, 0)
			deliver(g, key, 1)
		}
	}
	tally.Check(t, func(a, b string) bool { return a == b })
	for key := range keys {
		k := idem.Key(fmt.Sprint("key-", key))
		checkEffects(t, s, k, 1)
		if got := tally.Of(k); got.Duplicate+got.Decided == 0 || got.Conflict == 0 {
			t.Errorf("key %q: answers %+v, want some of each", k, got)
		}
	}
	checkCaches(t, caches, s)
}

// checkCaches looks for something in a cache that the store does not hold.
func checkCaches(t *testing.T, caches []*cache, s *store) {
	t.Helper()
	held := s.Records()
	for _, c := range caches {
		for key, rec := range c.Records() {
			if held[key] != rec {
				t.Errorf("the cache holds %+v, the store %+v", rec, held[key])
			}
		}
	}
}

// TestGuard_Process_Model delivers one after the other with at most one fault at a time, and
// knows before each delivery which answers are right.
func TestGuard_Process_Model(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, c := idemtest.NewStore(idemtest.Echo[string]), idemtest.NewCache[string]()
		guard := idem.New(s, c, idem.Options{Committers: 1})
		defer guard.Close()
		decided := make(map[idem.Key]string) // the model: what is done, and with which content
		step := rapid.SampledFrom([]idemtest.Step{
			"", idemtest.Get, idemtest.Find, idemtest.Commit, idemtest.Put,
		})
		for n := range rapid.IntRange(1, 30).Draw(rt, "deliveries") {
			if rapid.IntRange(0, 5).Draw(rt, "flush") == 0 {
				c.Flush()
			}
			broken, done := step.Draw(rt, "broken"), rapid.Bool().Draw(rt, "done")
			fault := idemtest.FailBefore(errBroken)
			if done {
				fault = idemtest.FailAfter(errBroken)
			}
			s.Break(broken, fault)
			c.Break(broken, fault)
			key := rapid.SampledFrom([]idem.Key{"a", "b", "c"}).Draw(rt, "key")
			content := rapid.SampledFrom([]string{"red", "blue"}).Draw(rt, "content")
			d := guard.Process(t.Context(), idemtest.Request(key, content))
			s.Mend()
			c.Mend()
			if problem := judge(decided, key, content, d, broken, done); problem != "" {
				rt.Fatalf("delivery %d: key %q, content %q, broken %q: %s (%+v)",
					n, key, content, broken, problem, d)
			}
			if s.Effects(key) > 1 || (s.Effects(key) == 1) != (decided[key] != "") {
				rt.Fatalf("delivery %d: key %q was done %d times", n, key, s.Effects(key))
			}
		}
	})
}

// judge compares a decision with the model and brings the model up to date.
func judge(
	decided map[idem.Key]string, key idem.Key, content string, d decision,
	broken idemtest.Step, done bool,
) string {
	first := decided[key]
	commits := first == "" && broken != idemtest.Find && (broken != idemtest.Commit || done)
	if commits {
		decided[key] = content
	}
	if d.Verdict == idem.Retry {
		switch {
		case !errors.Is(d.Err, errBroken):
			return "a retry for no reason"
		case broken == idemtest.Find, broken == idemtest.Commit && first == "":
			return ""
		default:
			return "a retry for a step that is not needed"
		}
	}
	want := idem.Duplicate
	switch {
	case first == "" && (!commits || broken == idemtest.Commit):
		return "an answer that nobody can have given"
	case first == "":
		want, first = idem.Decided, content
	case first != content:
		want = idem.Conflict
	}
	if d.Verdict != want || d.Record.Answer != first || d.Record.Key != key {
		return fmt.Sprintf("want verdict %d with %q", want, first)
	}
	return ""
}
