package rocketmqproxy

import (
	"bufio"
	"sync"

	"example.com/payment/internal/devstack/relay"
	"example.com/payment/internal/remoting"
)

const (
	// bufferSize saves the calls for the lengths of frames, and for small frames.
	bufferSize = 32 << 10

	responseFlag = 1
	onewayFlag   = 2
)

// session is one client's connection. Bytes that are no frame end it: this proxy is for one
// protocol.
type session struct {
	*relay.Pair
	proxy *Proxy

	mu sync.Mutex
	// waiting are the rules, by the number of the request on this connection, whose answers get
	// lost.
	waiting map[int32]*Rule

	answering sync.Mutex // both directions write to the client
}

func (p *Proxy) carry(pair *relay.Pair) {
	s := &session{Pair: pair, proxy: p, waiting: make(map[int32]*Rule)}
	s.Both(s.up, s.down)
	for _, r := range s.waiting {
		r.GiveBack()
	}
}

// up carries requests to the broker.
func (s *session) up() {
	in := bufio.NewReaderSize(s.Client, bufferSize)
	for {
		frame, err := remoting.Read(in)
		if err != nil {
			return
		}
		forward, alive := s.meet(frame.Header)
		if !alive {
			return
		}
		if !forward {
			continue
		}
		if _, err := s.Server.Write(frame.Raw); err != nil {
			return
		}
	}
}

// meet gives a request its fate: whether it goes to the broker, and whether the session goes on.
func (s *session) meet(h remoting.Header) (forward, alive bool) {
	r := s.proxy.take(h)
	if r == nil {
		return true, true
	}
	switch r.fate.kind {
	case cut:
		r.Fire()
		return false, false
	case drop:
		r.Fire()
		return false, true
	case refuse:
		r.Fire()
		return false, s.refuse(h, r.fate.code) == nil
	case loseAnswer:
		s.await(h.Opaque, r)
	case pass: // has been counted
	}
	return true, true
}

func (s *session) refuse(h remoting.Header, code int) error {
	if h.Flag&onewayFlag != 0 {
		return nil
	}
	raw, err := remoting.Encode(remoting.Header{
		Code: code, Language: "JAVA", Version: h.Version, Opaque: h.Opaque, Flag: responseFlag,
		Remark: "refused by the proxy before the broker",
	}, nil)
	if err != nil {
		return err
	}
	return s.answer(raw)
}

func (s *session) answer(raw []byte) error {
	s.answering.Lock()
	defer s.answering.Unlock()
	_, err := s.Client.Write(raw)
	return err
}

// await remembers the request whose answer is to be lost before the broker can have answered it.
func (s *session) await(opaque int32, r *Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[opaque] = r
}

// down carries answers, and the broker's own requests, to the client.
func (s *session) down() {
	in := bufio.NewReaderSize(s.Server, bufferSize)
	for {
		frame, err := remoting.Read(in)
		if err != nil {
			return
		}
		if s.lost(frame.Header) {
			continue
		}
		if s.answer(frame.Raw) != nil {
			return
		}
	}
}

// lost reports whether an answer is to be withheld.
func (s *session) lost(h remoting.Header) bool {
	if !h.IsResponse() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, lost := s.waiting[h.Opaque]
	if lost {
		delete(s.waiting, h.Opaque)
		r.Fire()
	}
	return lost
}
