package sim

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/payment/internal/idem"
)

// tick is longer than any backoff, so that nothing waits for time when the scheduler looks. Limits
// of the code under test must be far above ticks times steps.
const tick = time.Second

// maxSteps is far more than any run takes that ends.
const maxSteps = 2000

// Handler handles one delivery of a message and reports whether to acknowledge it.
type Handler func(ctx context.Context, message int) (acknowledge bool)

// Config describes a run.
type Config struct {
	Seed     uint64
	Messages int
	Nodes    int
	// Start starts a process, for the first time and after each crash.
	Start func(n *Node) (handle Handler, stop func())
	// Flush empties the cache.
	Flush func()
	// Observe, if set, is told the fate of each call, before it takes effect.
	Observe func(c *Call, f Fate)
	// Finish, if set, looks at the world once all messages are acknowledged.
	Finish func() error
}

// Event is one step of a run.
type Event struct {
	What     string
	Node     int
	Delivery int
	Fate     Fate
}

// Sim is one run. Make it and run it in a bubble of testing/synctest.
type Sim struct {
	cfg   Config
	rng   *rand.Rand
	odds  int // against each failure of a call
	haste int // of the broker to deliver; more makes larger batches
	calm  int // steps until failures begin, so that they come late as well as early
	left  int // failures until the weather is fair for good
	err   error

	mu     sync.Mutex
	parked []*Call

	open       []*Call
	nodes      []*Node
	done       []bool // by message: acknowledged
	deliveries int
	flying     []*Delivery
	trace      []Event
	running    sync.WaitGroup
}

// New returns a run that has not begun.
func New(cfg Config) *Sim {
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x73696d))
	return &Sim{
		cfg: cfg, rng: rng, odds: 10 + rng.IntN(50), calm: rng.IntN(60) - 30, left: rng.IntN(9),
		haste: 3 + rng.IntN(40), done: make([]bool, cfg.Messages),
	}
}

// Run delivers all messages until they are acknowledged. Its error is the first thing that was
// found wrong.
func (s *Sim) Run() error {
	for slot := range s.cfg.Nodes {
		s.nodes = append(s.nodes, s.start(slot))
	}
	for step := 0; s.err == nil && !s.finished(); step++ {
		if step == maxSteps {
			s.Fail(fmt.Errorf("not finished after %d steps", step))
			break
		}
		time.Sleep(tick)
		s.move()
	}
	if s.err == nil && s.cfg.Finish != nil {
		s.Fail(s.cfg.Finish())
	}
	for _, n := range s.nodes {
		s.kill(n)
	}
	s.running.Wait()
	if s.err != nil {
		return fmt.Errorf("%s=%d: %w\n%s", EnvSeed, s.cfg.Seed, s.err, s)
	}
	return nil
}

// Fail ends the run. It is for the scheduler's goroutine: for what runs inside calls.
func (s *Sim) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Trace is what happened.
func (s *Sim) Trace() []Event { return s.trace }

// String is the trace, one line per step.
func (s *Sim) String() string {
	var b strings.Builder
	for i, e := range s.trace {
		fmt.Fprintf(&b, "%4d node %d delivery %d: %s: %s\n", i, e.Node, e.Delivery, e.What, e.Fate)
	}
	return b.String()
}

func (s *Sim) finished() bool {
	return len(s.flying) == 0 && len(s.open) == 0 && !slices.Contains(s.done, false)
}

// move makes one step: a call that waits, a message that is due, something that a consumer has no
// part in, or, rarely, so that others meet it, the end of a call that is still open.
func (s *Sim) move() {
	const callWeight, mischiefWeight = 6, 2
	s.calm--
	calls, blocked := s.waiting()
	due := s.due()
	ends := []int{callWeight * len(calls), s.haste * len(due), len(s.open), 0}
	if s.stormy() {
		ends[3] = mischiefWeight
	}
	for i := range ends[1:] {
		ends[i+1] += ends[i]
	}
	if ends[3] == 0 {
		s.Fail(fmt.Errorf("%d deliveries hang", len(s.flying)))
		return
	}
	switch n := s.rng.IntN(ends[3]); {
	case n < ends[0]:
		s.play(calls[n/callWeight])
	case n < ends[1]:
		s.deliver(due[(n-ends[0])/s.haste])
	case n < ends[2]:
		s.settle(n - ends[1])
	default:
		s.mischief(blocked)
	}
}

func (s *Sim) stormy() bool { return s.calm < 0 && s.left > 0 }

// waiting are the parked calls, in an order that does not depend on how the goroutines that
// made them were scheduled. Only one batch moves at a time, so those keep their order. Blocked
// are transactions that wait for what another has locked.
func (s *Sim) waiting() (free, blocked []*Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.parked, func(a, b *Call) int {
		return cmp.Or(cmp.Compare(a.delivery(), b.delivery()), cmp.Compare(a.Node.slot, b.Node.slot))
	})
	for _, c := range s.parked {
		if c.blockedBy(s.open) {
			blocked = append(blocked, c)
		} else {
			free = append(free, c)
		}
	}
	return free, blocked
}

func (c *Call) delivery() int {
	if c.Delivery == nil {
		return 0
	}
	return c.Delivery.ID
}

// due are the messages that are neither acknowledged nor being handled.
func (s *Sim) due() []int {
	var due []int
	for m := range s.done {
		flies := func(d *Delivery) bool { return d.Message == m }
		if !s.done[m] && !slices.ContainsFunc(s.flying, flies) {
			due = append(due, m)
		}
	}
	return due
}

// mischief is what goes wrong outside of a call: a transaction has waited for a lock for too long,
// the cache is emptied, a message comes again although it is being handled or done (a rebalance,
// an offset that was not stored), or a delivery is told to stop.
func (s *Sim) mischief(blocked []*Call) {
	s.left--
	switch n := s.rng.IntN(4); {
	case len(blocked) > 0:
		c := blocked[s.rng.IntN(len(blocked))]
		c.Err = errBroken
		s.give(c, Contended)
	case n == 0:
		s.note(Event{What: "the cache is emptied"})
		s.cfg.Flush()
	case n == 1 && len(s.flying) > 0:
		d := s.flying[s.rng.IntN(len(s.flying))]
		d.Cancelled = true
		s.note(Event{What: "told to stop", Node: d.Node.slot, Delivery: d.ID})
		d.Node.cancelled = true
		d.cancel()
	default:
		s.deliver(s.rng.IntN(len(s.done)))
	}
}

func (s *Sim) deliver(m int) {
	n := s.nodes[s.rng.IntN(len(s.nodes))]
	s.deliveries++
	d := &Delivery{ID: s.deliveries, Message: m, Node: n}
	ctx, cancel := context.WithCancel(context.WithValue(n.ctx, deliveryKey{}, d))
	d.cancel = cancel
	s.flying = append(s.flying, d)
	s.note(Event{What: fmt.Sprint("message ", m), Node: n.slot, Delivery: d.ID})
	s.running.Go(func() {
		step, do := GiveBack, (func() error)(nil)
		if n.handle(ctx, m) {
			step, do = Ack, func() error { s.done[m] = true; return nil }
		}
		// A lost acknowledgement is the broker's to notice: nobody here does anything about it.
		_ = n.Call(ctx, step, "", do)
	})
}

// play draws the fate of a call.
func (s *Sim) play(c *Call) {
	reasons, fates := reasons(c.Step), Fates(c.Step)
	c.Err = reasons[s.rng.IntN(len(reasons))]
	if n := s.rng.IntN(s.odds); s.stormy() && n < len(fates) {
		s.left--
		s.give(c, fates[n])
		return
	}
	s.give(c, Done)
}

// give makes a call end, or not, as its fate says.
func (s *Sim) give(c *Call, fate Fate) {
	s.note(Event{
		What: c.String(), Node: c.Node.slot, Delivery: c.delivery(), Fate: fate,
	})
	if s.cfg.Observe != nil {
		s.cfg.Observe(c, fate)
	}
	if !fate.Crashes() {
		s.unpark(c)
	}
	if c.Step == Ack || c.Step == GiveBack {
		s.land(c.Delivery)
	}
	switch fate {
	case Done:
		c.tell(c.run())
	case Before, Contended:
		c.fail(c.Err)
	case After:
		if own := c.run(); own != nil {
			c.tell(own)
		}
		c.fail(c.Err) // unless it has failed by itself
	case Later:
		s.open = append(s.open, c)
		c.fail(c.Err)
	case Paused:
		s.open = append(s.open, c)
	case CrashBefore:
		s.crash(c)
	case CrashAfter:
		_ = c.run() // nobody hears of it
		s.crash(c)
	case CrashOpen:
		s.open = append(s.open, c)
		s.crash(c)
	}
}

// settle ends a call that is still open: it is done after all, or the server drops it. Who still
// waits for it may hear of that or not.
func (s *Sim) settle(i int) {
	c := s.open[i]
	s.open = slices.Delete(s.open, i, i+1)
	what := "is dropped"
	if s.rng.IntN(2) == 0 {
		what = "is done after all"
		if own := c.run(); own != nil || s.rng.IntN(2) == 0 {
			c.tell(own)
		}
	}
	s.note(Event{
		What: c.String() + " " + what, Node: c.Node.slot, Delivery: c.delivery(), Fate: Done,
	})
	c.fail(idem.ErrUnavailable) // if it still waits
}

// crash ends the node of a call, and starts it anew.
func (s *Sim) crash(c *Call) {
	s.kill(c.Node)
	s.nodes[c.Node.slot] = s.start(c.Node.slot)
}

// kill makes sure that nothing of a node has any effect from now on, and lets its goroutines end.
func (s *Sim) kill(n *Node) {
	s.mu.Lock()
	n.dead = true
	s.parked = slices.DeleteFunc(s.parked, func(c *Call) bool {
		if c.Node == n {
			c.abandon()
		}
		return c.Node == n
	})
	s.mu.Unlock()
	for _, c := range s.open {
		if c.Node == n {
			c.abandon()
		}
	}
	s.flying = slices.DeleteFunc(s.flying, func(d *Delivery) bool { return d.Node == n })
	n.cancel()
	n.stop()
}

func (s *Sim) start(slot int) *Node {
	n := &Node{sim: s, slot: slot}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.handle, n.stop = s.cfg.Start(n)
	return n
}

func (s *Sim) unpark(c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = slices.DeleteFunc(s.parked, func(p *Call) bool { return p == c })
}

func (s *Sim) land(d *Delivery) {
	s.flying = slices.DeleteFunc(s.flying, func(f *Delivery) bool { return f == d })
}

func (s *Sim) note(e Event) { s.trace = append(s.trace, e) }
