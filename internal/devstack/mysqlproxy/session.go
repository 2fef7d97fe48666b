package mysqlproxy

import (
	"bufio"
	"encoding/binary"
	"io"
	"sync/atomic"

	"example.com/payment/internal/devstack/relay"
)

// Capabilities, as the client's first packet names them, after which statements cannot be seen.
const (
	withCompression = 0x20
	withTLS         = 0x800
)

// session is one client's connection.
type session struct {
	*relay.Pair
	proxy *Proxy
	tx    transaction
	// fated is the rule for the statement that the server is carrying out. The protocol has one
	// statement at a time: a client sends the next when it has read the answer.
	fated atomic.Pointer[Rule]
	// deaf is set, on up's goroutine, once an answer is to be swallowed.
	deaf bool
}

func (p *Proxy) carry(pair *relay.Pair) {
	s := &session{Pair: pair, proxy: p}
	s.Both(s.up, s.down)
	if r := s.fated.Load(); r != nil {
		r.GiveBack()
	}
}

// up carries statements to the server.
func (s *session) up() {
	in := newPackets(s.Client)
	if !s.login(in) {
		return
	}
	for {
		if in.next() != nil {
			break
		}
		if statement, ok := in.statement(); ok {
			forward, alive := s.meet(statement, in)
			if !alive {
				return
			}
			if !forward {
				continue
			}
		}
		if in.writeTo(s.Server) != nil {
			break
		}
	}
	if s.deaf {
		<-s.Done() // the server ends it, by its own timeout, or somebody cuts
	}
}

// login passes the client's first packet on if what follows can be read.
func (s *session) login(in *packets) bool {
	if in.next() != nil || len(in.payload()) < 4 {
		return false
	}
	if binary.LittleEndian.Uint32(in.payload())&(withCompression|withTLS) != 0 {
		return false
	}
	return in.writeTo(s.Server) == nil
}

// meet gives a statement its fate: whether it goes to the server, and whether the session goes on.
func (s *session) meet(statement []byte, in *packets) (forward, alive bool) {
	r := s.proxy.take(statement, &s.tx)
	s.tx.note(statement)
	if r == nil {
		return true, true
	}
	switch r.fate.kind {
	case cutBefore:
		r.Fire()
		return false, false
	case refuse:
		r.Fire()
		return false, s.answer(in, errorPacket(r.fate.code))
	case accept:
		r.Fire()
		return false, s.answer(in, okPacket())
	case hold:
		r.Fire()
		select {
		case <-r.release:
		case <-s.Done():
			return false, false
		}
	case swallow:
		s.deaf = true
		s.fated.Store(r)
	case cutAfter, lie:
		s.fated.Store(r)
	case pass: // has been counted
	}
	return true, true
}

// answer answers a statement in the server's place, and says whether the session goes on.
func (s *session) answer(in *packets, packet []byte) bool {
	if in.skip() != nil {
		return false
	}
	_, err := s.Client.Write(packet)
	return err == nil
}

// down carries answers to the client.
func (s *session) down() {
	in := newPackets(s.Server)
	out := bufio.NewWriterSize(s.Client, bufferSize)
	for in.next() == nil {
		if code, ok := in.errorCode(); ok {
			s.proxy.sawError(code)
		}
		if r := s.fated.Swap(nil); r != nil {
			r.Fire()
			if !s.spoil(r, in) {
				return
			}
			continue
		}
		if in.writeTo(out) != nil {
			return
		}
		// What is buffered already is on its way to the same client: one call for all of it.
		if in.in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
	_ = out.Flush() // the server's last word; the client may be gone
}

// spoil does to an answer what its rule says, and whether the session goes on.
func (s *session) spoil(r *Rule, in *packets) bool {
	if r.fate.kind == swallow {
		_, _ = io.Copy(io.Discard, in.in) // until the server, or somebody here, ends it
		return false
	}
	if r.fate.kind == lie {
		_, err := s.Client.Write(errorPacket(r.fate.code))
		return err == nil && in.simple()
	}
	return false
}
