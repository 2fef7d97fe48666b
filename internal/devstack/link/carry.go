package link

import (
	"bytes"
	"net"
	"time"

	"example.com/payment/internal/devstack/relay"
)

const (
	// bufferSize is the longest piece, in bytes, that is carried at once.
	bufferSize = 32 << 10
	// onTheWay is how many pieces of answers may wait for their time; then the server's own
	// sending stalls.
	onTheWay = 256
)

// session is one client's connection.
type session struct {
	*relay.Pair
	link   *Link
	number int64
	budget *int64 // whose bytes left counts
	left   int64
}

func (l *Link) carry(pair *relay.Pair) {
	s := &session{Pair: pair, link: l, number: l.sessions.Add(1)}
	s.Both(s.up, s.down)
}

// up carries requests to the server.
func (s *session) up() {
	buffer := make([]byte, bufferSize)
	for {
		n, err := s.Client.Read(buffer)
		if n > 0 && !s.request(buffer[:n]) {
			return
		}
		if err != nil {
			// Also the end of the connection does not pass a gate that is shut.
			s.wait(s.requests)
			return
		}
	}
}

func (s *session) request(piece []byte) bool {
	if !s.pass(s.requests) {
		return false
	}
	t := s.link.toxics.Load()
	if t.budget != s.budget && t.budget != nil {
		s.left = *t.budget
	}
	s.budget = t.budget
	if t.budget == nil || int64(len(piece)) < s.left {
		s.left -= int64(len(piece))
		return s.write(s.Server, piece)
	}
	s.link.counts.resets.Add(1)
	if s.write(s.Server, piece[:s.left]) {
		s.Reset()
	}
	return false
}

// answer is a piece and the moment before which it does not arrive.
type answer struct {
	piece   []byte
	due     time.Time
	delayed bool
}

// down carries answers to the client. Reading goes on while earlier pieces wait, so that latency
// is a delay and not a lower speed.
func (s *session) down() {
	pieces := make(chan answer, onTheWay)
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(pieces)
		s.read(pieces)
	}()
	alive := true
	for a := range pieces {
		if alive = s.deliver(a); !alive {
			break
		}
	}
	if alive {
		s.wait(s.answers)
	}
	s.Cut()
	<-read
}

func (s *session) read(pieces chan<- answer) {
	buffer := make([]byte, bufferSize)
	for {
		n, err := s.Server.Read(buffer)
		if n > 0 {
			a := answer{piece: bytes.Clone(buffer[:n])}
			if d := s.link.toxics.Load().latency; d > 0 {
				a.due, a.delayed = time.Now().Add(d), true
			}
			select {
			case pieces <- a:
			case <-s.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *session) deliver(a answer) bool {
	if a.delayed {
		s.link.counts.delayed.Add(1)
		if !s.sleep(time.Until(a.due)) {
			return false
		}
	}
	if !s.pass(s.answers) {
		return false
	}
	return s.write(s.Client, a.piece)
}

// pass returns when a piece may pass a gate, or false when the connection has ended.
func (s *session) pass(gate func(*toxics) chan struct{}) bool {
	if gate(s.link.toxics.Load()) != nil {
		s.link.counts.held.Add(1)
	}
	return s.wait(gate)
}

// wait does so for the end of a stream, which is no piece and is not counted.
func (s *session) wait(gate func(*toxics) chan struct{}) bool {
	for {
		shut := gate(s.link.toxics.Load())
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-s.Done():
			return false
		}
	}
}

// requests and answers are the gates of the two directions.
func (s *session) requests(t *toxics) chan struct{} { return s.gate(t, t.requests) }
func (s *session) answers(t *toxics) chan struct{}  { return s.gate(t, t.answers) }

func (s *session) gate(t *toxics, ofAll chan struct{}) chan struct{} {
	if s.number <= t.strandedTo {
		return t.stranded
	}
	return ofAll
}

// write sends a piece, in slices as long as there is that toxic.
func (s *session) write(to net.Conn, piece []byte) bool {
	for len(piece) > 0 {
		t := s.link.toxics.Load()
		n := len(piece)
		if t.slice > 0 {
			n = min(t.slice, n)
			s.link.counts.slices.Add(1)
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return false
		}
		piece = piece[n:]
		if t.slice > 0 && t.pause > 0 && !s.sleep(t.pause) {
			return false
		}
	}
	return true
}

func (s *session) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.Done():
		return false
	}
}
