// Package relay is what the proxies before the servers have in common: it listens, connects each
// client to the server behind it, can break all connections, refuse new ones and come back on the
// same address. What passes on a connection, and what does not, is its caller's business.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// dialTimeout bounds the connection to the server, which is on the same machine.
	dialTimeout = 5 * time.Second
	// acceptPause keeps a lack of file descriptors from turning into a busy loop.
	acceptPause = 10 * time.Millisecond
	// upTimeout bounds the wait for the old port: while nobody listened on it, the kernel may
	// have lent it to an outgoing connection.
	upTimeout = 5 * time.Second
	upPause   = 20 * time.Millisecond
)

var (
	errClosed = errors.New("the proxy is closed")
	errDown   = errors.New("the proxy is down already")
)

// Relay forwards connections until Close. Its methods are safe for concurrent use.
type Relay struct {
	target string
	addr   string
	carry  func(*Pair)
	ctx    context.Context // ends with Close, and with it all dialling
	stop   context.CancelFunc
	serves sync.WaitGroup

	turn sync.Mutex // one of Down, Up and Close at a time

	mu       sync.Mutex // guards what follows; never held while waiting
	listener net.Listener
	accepts  chan struct{} // closed when the listener's loop has ended
	pairs    map[*Pair]struct{}
	accepted int
}

// Listen starts to listen on addr. Each connection, with the one to target that belongs to it, is
// given to carry on a goroutine of its own, and both are closed when carry returns.
func Listen(addr, target string, carry func(*Pair)) (*Relay, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := &Relay{
		target: target, addr: listener.Addr().String(), carry: carry,
		pairs: make(map[*Pair]struct{}),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.open(listener)
	return r, nil
}

// Addr is where the relay listens, also while it is down.
func (r *Relay) Addr() string { return r.addr }

// Accepted is how many connections clients have made.
func (r *Relay) Accepted() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}

// CutAll breaks all connections that there are and says how many those were.
func (r *Relay) CutAll() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.pairs)
	for pair := range r.pairs {
		pair.Cut()
		delete(r.pairs, pair) // so that nobody counts it twice
	}
	return n
}

// Down refuses new connections and breaks those that there are, and says how many those were.
func (r *Relay) Down() (int, error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.ctx.Err() != nil {
		return 0, errClosed
	}
	return r.shut()
}

// Up listens again after Down. Without one it does nothing, so that whoever mends a link need not
// know how it was broken.
func (r *Relay) Up() error {
	r.turn.Lock()
	defer r.turn.Unlock()
	if r.ctx.Err() != nil {
		return errClosed
	}
	if r.listening() {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.ctx, upTimeout)
	defer cancel()
	for {
		listener, err := net.Listen("tcp", r.addr)
		if err == nil {
			r.open(listener)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot listen on %s again: %w", r.addr, err)
		case <-time.After(upPause):
		}
	}
}

// Close ends all connections and waits until nothing of the relay runs any more.
func (r *Relay) Close() error {
	r.stop()
	r.turn.Lock()
	defer r.turn.Unlock()
	_, err := r.shut()
	if errors.Is(err, errDown) {
		err = nil // by Down, or by an earlier Close
	}
	r.serves.Wait()
	return err
}

func (r *Relay) open(listener net.Listener) {
	accepts := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener, r.accepts = listener, accepts
	go func() {
		defer close(accepts)
		r.accept(listener)
	}()
}

func (r *Relay) listening() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listener != nil
}

// shut ends the loop before it cuts, so that no connection slips through between the two.
func (r *Relay) shut() (int, error) {
	r.mu.Lock()
	listener, accepts := r.listener, r.accepts
	r.listener = nil
	r.mu.Unlock()
	if listener == nil {
		return 0, errDown
	}
	err := listener.Close()
	<-accepts
	return r.CutAll(), err
}

func (r *Relay) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		pair := &Pair{Client: client, done: make(chan struct{})}
		r.mu.Lock()
		r.accepted++
		r.pairs[pair] = struct{}{}
		r.mu.Unlock()
		r.serves.Go(func() { r.serve(pair) })
	}
}

// serve carries one client's connection until either side ends it.
func (r *Relay) serve(pair *Pair) {
	defer r.disown(pair)
	ctx, cancel := context.WithTimeout(r.ctx, dialTimeout)
	defer cancel()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.target)
	if err != nil || !pair.join(server) {
		return // the client sees a closed connection, as it would of a server that is down
	}
	r.carry(pair)
}

func (r *Relay) disown(pair *Pair) {
	pair.Cut()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pairs, pair)
}
