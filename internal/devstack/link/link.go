// Package link is a network connection to one server that can be made bad: slow, chopped into
// bytes, stuck, broken in the middle of a request, or down. It carries any protocol over TCP.
//
// It loses no byte out of the middle of a stream: what does not pass waits, as in a network whose
// packets are sent again, and passes when the fault ends, or never if the connection ends first.
// A proxy that drops bytes and then goes on would make faults that no network makes.
package link

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"example.com/payment/internal/devstack/relay"
)

var errAmount = errors.New("the amount must be positive")

// Link forwards connections until Close. Its methods are safe for concurrent use. Toxics add up;
// each is for the connections that there are and for later ones, until Reset.
type Link struct {
	relay    *relay.Relay
	counts   counts
	sessions atomic.Int64

	mu     sync.Mutex // one change at a time
	toxics atomic.Pointer[toxics]
}

// toxics is one state of a link. It is replaced, never changed.
type toxics struct {
	latency time.Duration
	slice   int
	pause   time.Duration
	budget  *int64 // request bytes of each connection before it is reset; a new pointer starts anew
	// requests and answers, unless nil, are shut gates: what comes waits until they are closed.
	requests, answers chan struct{}
	// stranded is a gate in both directions, for the sessions up to this number.
	stranded   chan struct{}
	strandedTo int64
}

// Stats counts what has happened to the traffic so far: a fault that did not happen proves nothing.
type Stats struct {
	Connections int // that clients have made
	Delayed     int // pieces of answers that came later because of Latency
	Slices      int // pieces that Slice has made
	Held        int // pieces that had to wait because of Blackhole, HoldAnswers or Strand
	Resets      int // connections that CutAfter has reset
}

type counts struct{ delayed, slices, held, resets atomic.Int64 }

// Listen starts a link on addr to the server at target.
func Listen(addr, target string) (*Link, error) {
	l := &Link{}
	l.toxics.Store(&toxics{})
	var err error
	if l.relay, err = relay.Listen(addr, target, l.carry); err != nil {
		return nil, err
	}
	return l, nil
}

// Addr is where the link listens.
func (l *Link) Addr() string { return l.relay.Addr() }

// Close ends all connections and waits until nothing of the link runs any more.
func (l *Link) Close() error { return l.relay.Close() }

// CutAll breaks all connections that there are and says how many those were.
func (l *Link) CutAll() int { return l.relay.CutAll() }

// Down refuses new connections and breaks those that there are, and says how many those were.
func (l *Link) Down() (int, error) { return l.relay.Down() }

// Up accepts connections again after Down.
func (l *Link) Up() error { return l.relay.Up() }

// Latency makes answers come later by d.
func (l *Link) Latency(d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("latency %s: %w", d, errAmount)
	}
	l.change(func(t *toxics) { t.latency = d })
	return nil
}

// Slice sends what passes, in either direction, in pieces of so many bytes, with a pause after
// each: without one the receiving kernel may put them together again.
func (l *Link) Slice(bytes int, pause time.Duration) error {
	if bytes <= 0 || pause < 0 {
		return fmt.Errorf("slices of %d bytes, pause %s: %w", bytes, pause, errAmount)
	}
	l.change(func(t *toxics) { t.slice, t.pause = bytes, pause })
	return nil
}

// CutAfter resets each connection as soon as its client has sent so many more bytes: those reach
// the server, and the rest does not.
func (l *Link) CutAfter(bytes int64) error {
	if bytes < 0 {
		return fmt.Errorf("cut after %d bytes: %w", bytes, errAmount)
	}
	l.change(func(t *toxics) { t.budget = &bytes })
	return nil
}

// Blackhole accepts connections and lets nothing pass in either direction until Reset. Neither
// side learns that the other one ends its connection.
func (l *Link) Blackhole() error {
	l.change(func(t *toxics) {
		t.requests, t.answers = shut(t.requests), shut(t.answers)
	})
	return nil
}

// HoldAnswers lets requests pass, and no answers until Reset.
func (l *Link) HoldAnswers() error {
	l.change(func(t *toxics) { t.answers = shut(t.answers) })
	return nil
}

// Strand lets nothing pass any more on the connections that there are, until Reset, as when
// something on the way has forgotten them. Neither side learns of it. Later connections are well.
func (l *Link) Strand() error {
	l.change(func(t *toxics) {
		t.stranded, t.strandedTo = shut(t.stranded), l.sessions.Load()
	})
	return nil
}

// Reset ends all toxics. What had to wait passes now.
func (l *Link) Reset() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.toxics.Swap(&toxics{})
	for _, gate := range []chan struct{}{old.requests, old.answers, old.stranded} {
		if gate != nil {
			close(gate)
		}
	}
	return nil
}

// Stats returns what has happened so far.
func (l *Link) Stats() Stats {
	return Stats{
		Connections: l.relay.Accepted(),
		Delayed:     int(l.counts.delayed.Load()),
		Slices:      int(l.counts.slices.Load()),
		Held:        int(l.counts.held.Load()),
		Resets:      int(l.counts.resets.Load()),
	}
}

func (l *Link) change(how func(*toxics)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.toxics.Load()
	how(&next)
	l.toxics.Store(&next)
}

// shut keeps a gate that is shut already: somebody waits there.
func shut(gate chan struct{}) chan struct{} {
	if gate == nil {
		return make(chan struct{})
	}
	return gate
}
