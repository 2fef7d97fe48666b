package sim

import (
	"context"
	"errors"
	"slices"
	"strings"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// The calls of a consumer beyond those of its Cache and Store.
const (
	Receive  idemtest.Step = "receive"
	Answer   idemtest.Step = "answer"
	Ack      idemtest.Step = "acknowledge"
	GiveBack idemtest.Step = "give back"
)

// Fate is what becomes of a call.
type Fate string

// The fates. A call that crashes takes its node with it: nobody hears an answer, and whatever the
// node had under way has no further effect.
const (
	Done        Fate = "done"
	Before      Fate = "fails before it is done"
	After       Fate = "is done, and its answer lost"
	Later       Fate = "fails, and is still open"
	Paused      Fate = "pauses while it is open"
	Contended   Fate = "fails because of one that is open"
	CrashBefore Fate = "crash before it is done"
	CrashAfter  Fate = "crash after it is done"
	CrashOpen   Fate = "crash while it is open"
)

// Crashes reports whether the fate takes the node with it.
func (f Fate) Crashes() bool { return f == CrashBefore || f == CrashAfter || f == CrashOpen }

// Fates lists what can become of a call beyond Done and Contended.
func Fates(step idemtest.Step) []Fate {
	switch {
	case step == Receive, step == Answer, step == GiveBack:
		return []Fate{CrashBefore}
	case step == Ack:
		return []Fate{Before, CrashBefore, CrashAfter}
	case step == idemtest.Get, step == idemtest.Find:
		return []Fate{Before, After, CrashBefore, CrashAfter}
	case step == idemtest.Commit:
		return []Fate{Before, After, Later, Paused, CrashBefore, CrashAfter, CrashOpen}
	default:
		return []Fate{Before, After, Later, CrashBefore, CrashAfter, CrashOpen}
	}
}

// Call is one call of a node to the world outside.
type Call struct {
	Node *Node
	Step idemtest.Step
	What string // for the trace
	Keys []idem.Key
	// Delivery is what the call belongs to; a batch's calls belong to none.
	Delivery *Delivery
	// Err is what the call fails with, if it is its fate to fail.
	Err error

	locks []string // of a transaction, while it is open
	do    func() error
	heard func() // the caller hears that all is well
	told  chan error
	ended bool // for its caller, who hears nothing more
}

var (
	errBroken = errors.New("broken on purpose")
	errDead   = errors.New("this process is no more")
)

// reasons are the errors that a call can fail with.
func reasons(step idemtest.Step) []error {
	switch {
	case step == idemtest.Get, step == idemtest.Put, step == Ack:
		return []error{errBroken}
	case step == idemtest.Commit:
		return []error{idem.ErrUnavailable, errBroken, idem.ErrRaced, idem.ErrContent}
	default:
		return []error{idem.ErrUnavailable, errBroken}
	}
}

// Node is one process: what it holds in memory is gone when it crashes.
type Node struct {
	sim    *Sim
	slot   int
	dead   bool // guarded by sim.mu
	ctx    context.Context
	cancel context.CancelFunc
	handle Handler
	stop   func()
	faults int // injected into its store, which are the only reason for a Retry
	// cancelled reports that one of its deliveries was told to stop.
	cancelled bool
}

// Call waits until the scheduler picks this call, and returns what the caller then hears. The
// scheduler runs do; it may be nil.
func (n *Node) Call(
	ctx context.Context, step idemtest.Step, what string, do func() error,
) error {
	return n.wait(&Call{Step: step, What: what, Delivery: DeliveryOf(ctx), do: do})
}

func (n *Node) wait(c *Call) error {
	c.Node, c.told = n, make(chan error, 1)
	s := n.sim
	s.mu.Lock()
	if n.dead {
		s.mu.Unlock()
		return errDead
	}
	s.parked = append(s.parked, c)
	s.mu.Unlock()
	return <-c.told
}

// String names the call as the trace does.
func (c *Call) String() string {
	var b strings.Builder
	b.WriteString(string(c.Step))
	for _, key := range c.Keys {
		b.WriteString(" " + string(key))
	}
	if c.What != "" {
		b.WriteString(" " + c.What)
	}
	return b.String()
}

func (c *Call) run() error {
	if c.do == nil {
		return nil
	}
	return c.do()
}

// fail ends the call with an injected failure, which is a reason for a retry.
func (c *Call) fail(err error) {
	if !c.ended && (c.Step == idemtest.Find || c.Step == idemtest.Commit) {
		c.Node.faults++
	}
	c.tell(err)
}

// tell ends the call for its caller, unless it has ended.
func (c *Call) tell(err error) {
	if c.ended {
		return
	}
	c.ended = true
	if err == nil && c.heard != nil {
		c.heard()
	}
	if c.Delivery != nil && c.Step != Answer {
		c.Delivery.Err = err
	}
	c.told <- err
}

// abandon ends the call of a node that has crashed.
func (c *Call) abandon() {
	if !c.ended {
		c.ended = true
		c.told <- errDead
	}
}

func (c *Call) blockedBy(open []*Call) bool {
	for _, o := range open {
		for _, lock := range o.locks {
			if slices.Contains(c.locks, lock) {
				return true
			}
		}
	}
	return false
}

// Delivery is one attempt to have a message handled.
type Delivery struct {
	ID, Message int
	Node        *Node
	// Err is the last failure that the delivery was told of, nil after a success.
	Err error
	// Verdict and By are what its guard said last.
	Verdict idem.Verdict
	By      idem.Source
	// Cancelled reports that it was told to stop.
	Cancelled bool

	cancel context.CancelFunc
}

type deliveryKey struct{}

// DeliveryOf returns the delivery that a handler's context belongs to.
func DeliveryOf(ctx context.Context) *Delivery {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	return d
}
