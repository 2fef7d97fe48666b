// Package rocketmqproxy stands between RocketMQ clients and a broker, sees the requests that pass,
// and loses or refuses those that it is told to: a send whose answer is lost, so that the message
// is stored and its producer does not know; an acknowledgement; a message that a consumer gives
// back. Everything else it passes on, byte by byte.
package rocketmqproxy

import (
	"sync"

	"example.com/payment/internal/devstack/relay"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/remoting"
)

// Proxy forwards connections until Close. Its methods are safe for concurrent use.
type Proxy struct {
	relay *relay.Relay

	mu    sync.Mutex
	rules []*Rule
}

// Listen starts a proxy on addr for the broker at target.
func Listen(addr, target string) (*Proxy, error) {
	p := &Proxy{}
	var err error
	if p.relay, err = relay.Listen(addr, target, p.carry); err != nil {
		return nil, err
	}
	return p, nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.relay.Addr() }

// Close ends all connections and waits until nothing of the proxy runs any more.
func (p *Proxy) Close() error { return p.relay.Close() }

// CutAll breaks all connections that there are and says how many those were.
func (p *Proxy) CutAll() int { return p.relay.CutAll() }

// Down refuses new connections and breaks those that there are, and says how many those were.
func (p *Proxy) Down() (int, error) { return p.relay.Down() }

// Up accepts connections again after Down.
func (p *Proxy) Up() error { return p.relay.Up() }

// DropAnswer loses the answer to the next message that is sent to topic, or to any topic if it
// is empty. The returned channel is closed when that has happened. A connection that ends before
// the answer comes leaves the order standing for the next send.
func (p *Proxy) DropAnswer(topic string) <-chan struct{} {
	return p.Next(Sends(topic), LoseAnswer()).Done()
}

// Next gives the next request that matches its fate.
func (p *Proxy) Next(match Match, fate Fate) *Rule { return p.Add(match, fate, rule.Once()) }

// Add gives the requests that match, and that the schedule chooses, their fate. When several
// rules are for one request, the first that chooses it gets it, and the later ones are not asked.
func (p *Proxy) Add(match Match, fate Fate, when rule.When) *Rule {
	r := &Rule{Rule: rule.New(when), match: match, fate: fate}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return r
}

// take returns the rule that has chosen a request, or nil.
func (p *Proxy) take(h remoting.Header) *Rule {
	if h.IsResponse() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.rules[:0]
	var chosen *Rule
	for _, r := range p.rules {
		if r.Over() {
			continue
		}
		kept = append(kept, r)
		if chosen != nil || !r.match.fits(h) || !r.Take() {
			continue
		}
		if r.fate.kind == pass {
			r.Fire()
			continue
		}
		chosen = r
	}
	clear(p.rules[len(kept):])
	p.rules = kept
	return chosen
}
