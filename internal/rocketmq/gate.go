package rocketmq

import "sync"

// gate counts the deliveries that are with the handler. Once it is shut, new ones are parked: the
// client takes any answer as final, and the only answer that leaves a message where it is comes
// after the client has shut down, when it listens no more.
type gate struct {
	mu      sync.Mutex
	shut    bool
	running int
	parked  int
	// idle is closed when the gate is shut and nothing runs.
	idle chan struct{}
	// opened is closed when the parked may go.
	opened chan struct{}
	// empty is closed when the parked have gone.
	empty chan struct{}
	once  sync.Once
}

func newGate() *gate {
	return &gate{
		idle: make(chan struct{}), opened: make(chan struct{}), empty: make(chan struct{}),
	}
}

// enter lets a delivery through to the handler, or parks it until the gate is released and then
// says no.
func (g *gate) enter() bool {
	g.mu.Lock()
	if !g.shut {
		g.running++
		g.mu.Unlock()
		return true
	}
	g.parked++
	g.mu.Unlock()
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parked--
	g.signal()
	return false
}

// leave ends a delivery that enter let through.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.signal()
}

// close shuts the gate. The channel is closed when no delivery is with the handler any more.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	g.signal()
	return g.idle
}

// release lets the parked go. The channel is closed when they have gone.
func (g *gate) release() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.once.Do(func() { close(g.opened) })
	g.signal()
	return g.empty
}

// signal closes the channels whose time has come; mu is held.
func (g *gate) signal() {
	if g.shut && g.running == 0 {
		closeOnce(g.idle)
	}
	select {
	case <-g.opened:
		if g.parked == 0 {
			closeOnce(g.empty)
		}
	default:
	}
}

// closeOnce closes a channel that only its holder's mutex lets anybody close.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// isShut says whether new deliveries are parked.
func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// counts returns how many deliveries run and how many are parked.
func (g *gate) counts() (running, parked int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, g.parked
}
