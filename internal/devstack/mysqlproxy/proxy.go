package mysqlproxy

import (
	"sync"
	"sync/atomic"

	"example.com/payment/internal/devstack/relay"
	"example.com/payment/internal/devstack/rule"
)

// Proxy forwards connections until Close. Its methods are safe for concurrent use.
type Proxy struct {
	relay      *relay.Relay
	statements atomic.Int64

	mu     sync.Mutex
	rules  []*Rule
	errors map[uint16]int
}

// Listen starts a proxy on addr for the server at target.
func Listen(addr, target string) (*Proxy, error) {
	p := &Proxy{errors: make(map[uint16]int)}
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

// Statements is how many statements clients have sent.
func (p *Proxy) Statements() int { return int(p.statements.Load()) }

// Errors is how many errors of a code the server has sent. What Refuse and Lie make up is not
// among them.
func (p *Proxy) Errors(code uint16) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.errors[code]
}

// Next gives the next statement that matches its fate.
func (p *Proxy) Next(match Match, fate Fate) *Rule { return p.Add(match, fate, rule.Once()) }

// Add gives the statements that match, and that the schedule chooses, their fate. When several
// rules are for one statement, the first that chooses it gets it, and the later ones are not asked.
func (p *Proxy) Add(match Match, fate Fate, when rule.When) *Rule {
	r := &Rule{
		Rule: rule.New(when), match: match, fate: fate, release: make(chan struct{}),
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, r)
	return r
}

// take returns the rule that has chosen a statement, or nil.
func (p *Proxy) take(statement []byte, tx *transaction) *Rule {
	p.statements.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.rules[:0]
	var chosen *Rule
	for _, r := range p.rules {
		if r.Over() {
			continue
		}
		kept = append(kept, r)
		if chosen != nil || !r.match.fits(statement, tx) || !r.Take() {
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

func (p *Proxy) sawError(code uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors[code]++
}
