package idem_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/idem/idemtest/sim"
)

// script is one run of the simulation with guards alone: few keys with two contents each, in
// several processes that fail.
type script struct {
	world    sim.World[string, string]
	requests []request
	opts     idem.Options
	run      *sim.Sim
}

func newScript(seed uint64, observe func(*sim.Call, sim.Fate)) *script {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &script{opts: idem.Options{
		BatchMax: 1 + rng.IntN(4), Committers: 1 + rng.IntN(2), Timeout: 24 * time.Hour,
	}}
	s.world.Cache = idemtest.NewCache[string]()
	s.world.Store = idemtest.NewStore(idemtest.Echo[string])
	keys := 1 + rng.IntN(4)
	for range 3 + rng.IntN(6) {
		key := idem.Key(fmt.Sprint("key-", rng.IntN(keys)))
		s.requests = append(s.requests, idemtest.Request(key, []string{"red", "blue"}[rng.IntN(2)]))
	}
	s.run = sim.New(sim.Config{
		Seed: seed, Messages: len(s.requests), Nodes: 1 + rng.IntN(3),
		Start: s.start, Flush: s.world.Cache.Flush, Observe: observe, Finish: s.finish,
	})
	return s
}

// start starts a process: a guard, and a listener that acknowledges whatever has an outcome.
func (s *script) start(n *sim.Node) (handle sim.Handler, stop func()) {
	inner := idem.New(sim.Store[string, string]{Node: n, World: &s.world},
		sim.Cache[string, string]{Node: n, World: &s.world}, s.opts)
	guard := sim.Guard[string, string]{Node: n, World: &s.world, Inner: inner}
	return func(ctx context.Context, message int) bool {
		return guard.Process(ctx, s.requests[message]).Verdict != idem.Retry
	}, inner.Close
}

// finish wants every key that was sent done exactly once, with content that was sent.
func (s *script) finish() error {
	records := s.world.Store.Records()
	for _, req := range s.requests {
		if got := s.world.Store.Effects(req.Key); got != 1 {
			return fmt.Errorf("the work of key %q was done %d times", req.Key, got)
		}
		sent := slices.ContainsFunc(s.requests, func(r request) bool {
			return r.Key == req.Key && r.Payload == records[req.Key].Answer
		})
		if !sent {
			return fmt.Errorf("key %q holds %+v, which nobody sent", req.Key, records[req.Key])
		}
	}
	return s.world.Missed()
}

// TestGuard_Process_Schedules runs guards through thousands of interleavings and failures, and
// wants every call to have failed in every way.
func TestGuard_Process_Schedules(t *testing.T) {
	t.Parallel()
	first, last := sim.Seeds(t, 3000)
	start := time.Now()
	steps := 0
	seen := make(map[idemtest.Step]map[sim.Fate]int)
	synctest.Test(t, func(t *testing.T) {
		for seed := first; seed < last; seed++ {
			s := newScript(seed, func(c *sim.Call, f sim.Fate) {
				if seen[c.Step] == nil {
					seen[c.Step] = make(map[sim.Fate]int)
				}
				seen[c.Step][f]++
			})
			if err := s.run.Run(); err != nil {
				t.Fatal(err)
			}
			steps += len(s.run.Trace())
		}
	})
	t.Logf("%d runs with %d steps in %v", last-first, steps, time.Since(start))
	if last-first > 1000 {
		checkFates(t, seen)
	}
}

func checkFates(t *testing.T, seen map[idemtest.Step]map[sim.Fate]int) {
	t.Helper()
	for _, step := range []idemtest.Step{
		sim.Receive, idemtest.Get, idemtest.Find, idemtest.Commit, idemtest.Put, sim.Answer, sim.Ack,
	} {
		for _, fate := range sim.Fates(step) {
			if t.Logf("%7d  %s %s", seen[step][fate], step, fate); seen[step][fate] == 0 {
				t.Errorf("no %s ever had this fate: %s", step, fate)
			}
		}
	}
	if t.Logf("%7d  %s %s", seen[idemtest.Commit][sim.Contended], idemtest.Commit,
		sim.Contended); seen[idemtest.Commit][sim.Contended] == 0 {
		t.Error("no transaction ever met one that was open")
	}
}

// TestGuard_Process_SchedulesRepeat runs seeds twice: a failure that could not be shown again
// would be of little use.
func TestGuard_Process_SchedulesRepeat(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for seed := range uint64(100) {
			a, b := newScript(seed, nil), newScript(seed, nil)
			if err := a.run.Run(); err != nil {
				t.Fatal(err)
			}
			if err := b.run.Run(); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.run.Trace(), b.run.Trace()) {
				t.Fatalf("seed %d took two courses:\n%s\n%s", seed, a.run, b.run)
			}
		}
	})
}
