// Package proxy stands between RocketMQ clients and a broker. It passes every byte on unchanged,
// and on demand it loses the broker's answer to one send: the broker has stored the message and
// the producer does not know, which is how a send-time duplicate comes about.
package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"example.com/payment/internal/remoting"
)

// dialTimeout bounds the connection to the broker, which is on the same machine.
const dialTimeout = 5 * time.Second

// Proxy forwards connections until Close. Its methods are safe for concurrent use.
type Proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
	drops  []*drop
}

// drop is the order to lose one answer.
type drop struct {
	topic string
	done  chan struct{}
}

// Listen starts a proxy on addr for the broker at target.
func Listen(addr, target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: listener, target: target, conns: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// DropAnswer loses the answer to the next message that is sent to topic, or to any topic if it
// is empty. The returned channel is closed when that has happened. A connection that ends before
// the answer comes leaves the order standing for the next send.
func (p *Proxy) DropAnswer(topic string) <-chan struct{} {
	order := &drop{topic: topic, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops = append(p.drops, order)
	return order.done
}

// Close ends all connections and waits until nothing of the proxy runs any more.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	err := p.listener.Close()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// acceptPause keeps a lack of file descriptors from turning into a busy loop.
const acceptPause = 10 * time.Millisecond

// serve carries one client's connection until either side ends it.
func (p *Proxy) serve(client net.Conn) {
	if !p.own(client) {
		return
	}
	defer p.disown(client)
	broker, err := net.DialTimeout("tcp", p.target, dialTimeout)
	if err != nil || !p.own(broker) {
		return // the client sees a closed connection, as it would of a broker that is down
	}
	defer p.disown(broker)
	link := &link{proxy: p, waiting: make(map[int32]*drop)}
	var answers sync.WaitGroup
	answers.Go(func() {
		link.pump(client, broker, link.passAnswer)
		_ = client.Close()
	})
	link.pump(broker, client, link.passRequest)
	_ = broker.Close()
	answers.Wait()
	p.restore(link.waiting)
}

func (p *Proxy) restore(unmet map[int32]*drop) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, order := range unmet {
		p.drops = append(p.drops, order)
	}
}

// own registers a connection so that Close ends it; after Close it is closed at once.
func (p *Proxy) own(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) disown(conn net.Conn) {
	_ = conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, conn)
}

// take returns the first order that fits a topic, and withdraws it.
func (p *Proxy) take(topic string) *drop {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, order := range p.drops {
		if order.topic == "" || order.topic == topic {
			p.drops = append(p.drops[:i:i], p.drops[i+1:]...)
			return order
		}
	}
	return nil
}

// link is one client's connection and the one to the broker that belongs to it.
type link struct {
	proxy *Proxy

	mu sync.Mutex
	// waiting are the requests, by their number on this connection, whose answers get lost.
	waiting map[int32]*drop
}

// pump copies frames for which pass says so. Bytes that are no frame end the connection: this
// proxy is for one protocol.
func (l *link) pump(to io.Writer, from io.Reader, pass func(remoting.Header) bool) {
	for {
		frame, err := remoting.Read(from)
		if err != nil {
			return
		}
		if !pass(frame.Header) {
			continue
		}
		if _, err := to.Write(frame.Raw); err != nil {
			return
		}
	}
}

// passRequest always passes; it remembers the request whose answer is to be lost before the
// broker can have answered it.
func (l *link) passRequest(h remoting.Header) bool {
	if !h.IsSend() {
		return true
	}
	if order := l.proxy.take(h.Topic()); order != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiting[h.Opaque] = order
	}
	return true
}

// passAnswer withholds the answers that are to be lost.
func (l *link) passAnswer(h remoting.Header) bool {
	if !h.IsResponse() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	order, lost := l.waiting[h.Opaque]
	if lost {
		delete(l.waiting, h.Opaque)
		close(order.done)
	}
	return !lost
}
