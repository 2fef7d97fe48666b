package relay

import (
	"net"
	"sync"
)

// Pair is a client's connection and the one to the server that belongs to it.
type Pair struct {
	Client, Server net.Conn

	mu   sync.Mutex
	done chan struct{}
	cut  bool
}

// Done is closed when the pair has been cut: whoever holds something back for its sake gives up.
func (p *Pair) Done() <-chan struct{} { return p.done }

// Cut ends both connections.
func (p *Pair) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return
	}
	p.cut = true
	close(p.done)
	_ = p.Client.Close()
	if p.Server != nil {
		_ = p.Server.Close()
	}
}

// Reset cuts so that the client reads "connection reset", and what was on its way to it is lost.
// What has been written to the server reaches it.
func (p *Pair) Reset() {
	if tcp, ok := p.Client.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a connection that has ended by itself cannot be reset
	}
	p.Cut()
}

// Both runs up, which carries requests, and down, which carries answers, side by side. When one
// of them returns the pair is cut, and Both returns after the other.
func (p *Pair) Both(up, down func()) {
	var answers sync.WaitGroup
	answers.Go(func() {
		defer p.Cut()
		down()
	})
	up()
	p.Cut()
	answers.Wait()
}

// join adds the server's connection, unless the pair has been cut meanwhile.
func (p *Pair) join(server net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		_ = server.Close()
		return false
	}
	p.Server = server
	return true
}
