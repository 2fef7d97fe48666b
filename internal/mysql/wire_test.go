package mysql

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// fate is what becomes of a statement on its way through the wire.
type fate int

const (
	cutBefore fate = iota // the connection breaks before the statement reaches the server
	cutAfter              // the server carries it out, the connection breaks before the answer
	refuse                // the server never sees it, the client reads an error
	lie                   // the server carries it out, the client reads an error
	hold                  // the statement waits until it is released
)

// rule is a fate for the next statement that contains a text; COMMIT has to be all of it.
type rule struct {
	text    string
	fate    fate
	code    uint16        // the error for refuse and lie
	reached chan struct{} // closed when the statement is there
	release chan struct{} // for hold
}

// wire stands between the driver and the server. It understands just enough of the protocol to
// see statements and errors, and breaks what it is told to.
type wire struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	rules  []*rule
	conns  []net.Conn
	errors map[uint16]int
	closed bool
}

// through puts a wire before the server of a configuration and returns what changes it.
func through(t *testing.T, target string) (*wire, func(*Config)) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, target: target, errors: make(map[uint16]int)}
	w.running.Go(w.accept)
	t.Cleanup(w.close)
	return w, func(c *Config) { c.Address = listener.Addr().String() }
}

// next gives the next statement that contains a text its fate.
func (w *wire) next(text string, f fate, code uint16) *rule {
	r := &rule{text: text, fate: f, code: code,
		reached: make(chan struct{}), release: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = append(w.rules, r)
	return r
}

// met fails the test if the statement of a rule never came: a fault that did not happen proves
// nothing.
func (r *rule) met(t *testing.T) {
	t.Helper()
	select {
	case <-r.reached:
	default:
		t.Errorf("no statement with %q came by", r.text)
	}
}

// errorCount is how many errors of a code the server has sent.
func (w *wire) errorCount(code uint16) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errors[code]
}

// breakAll cuts every connection there is.
func (w *wire) breakAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.breakAll()
	w.running.Wait()
}

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, client, server)
		closed := w.closed
		w.mu.Unlock()
		if closed {
			w.breakAll()
		}
		l := &link{wire: w, client: client, server: server}
		w.running.Go(l.up)
		w.running.Go(l.down)
	}
}

// link is one connection of the driver.
type link struct {
	wire           *wire
	client, server net.Conn
	mu             sync.Mutex
	fated          *rule // of the statement that is under way
}

func (l *link) cut() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// up carries statements to the server.
func (l *link) up() {
	defer l.cut()
	for {
		packet, err := readPacket(l.client)
		if err != nil {
			return
		}
		if r := l.wire.take(packet); r != nil {
			close(r.reached)
			switch r.fate {
			case cutBefore:
				return
			case refuse:
				if _, err := l.client.Write(errorPacket(r.code)); err != nil {
					return
				}
				continue
			case cutAfter, lie:
				l.mu.Lock()
				l.fated = r
				l.mu.Unlock()
			case hold:
				<-r.release
			}
		}
		if _, err := l.server.Write(packet); err != nil {
			return
		}
	}
}

// down carries answers to the driver.
func (l *link) down() {
	defer l.cut()
	for {
		packet, err := readPacket(l.server)
		if err != nil {
			return
		}
		l.mu.Lock()
		r := l.fated
		l.fated = nil
		l.mu.Unlock()
		if r != nil && r.fate == cutAfter {
			return
		}
		if r != nil && r.fate == lie {
			packet = errorPacket(r.code)
		}
		if len(packet) > 6 && packet[4] == 0xff {
			l.wire.mu.Lock()
			l.wire.errors[binary.LittleEndian.Uint16(packet[5:])]++
			l.wire.mu.Unlock()
		}
		if _, err := l.client.Write(packet); err != nil {
			return
		}
	}
}

// take returns the rule for a packet, once, if it is a statement that has one.
func (w *wire) take(packet []byte) *rule {
	if len(packet) < 5 || packet[3] != 0 || packet[4] != 0x03 { // COM_QUERY
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.rules {
		statement := string(packet[5:])
		if r.text == statement || r.text != "COMMIT" && strings.Contains(statement, r.text) {
			w.rules = append(w.rules[:i:i], w.rules[i+1:]...)
			return r
		}
	}
	return nil
}

// readPacket reads a header of three bytes of length and one of sequence, and the payload.
func readPacket(r io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	size := int(header[0]) | int(header[1])<<8 | int(header[2])<<16
	packet := append(header, make([]byte, size)...)
	_, err := io.ReadFull(r, packet[4:])
	return packet, err
}

func errorPacket(code uint16) []byte {
	payload := append([]byte{0xff, byte(code), byte(code >> 8)}, "#HY000secret value 4711"...)
	return append([]byte{byte(len(payload)), 0, 0, 1}, payload...)
}
