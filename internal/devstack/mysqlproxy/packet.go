package mysqlproxy

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"
)

const (
	headerSize = 4
	// maxLength is the length of a packet that the next one continues.
	maxLength = 1<<24 - 1
	// inspected is how much of a packet, in bytes, is kept and looked at. The rest is passed on.
	inspected = 1 << 20
	// bufferSize saves the calls for headers and for small packets.
	bufferSize = 32 << 10

	comQuery    = 0x03
	errorMarker = 0xff
	okMarker    = 0x00
)

// ErrorText is in every error that a proxy makes up. Servers quote values in theirs, so it must
// be in no log, metric or trace.
const ErrorText = "secret value 4711"

// packets reads one side of a connection, packet by packet.
type packets struct {
	in    *bufio.Reader
	bytes []byte // the header and the payload, as far as it is inspected; valid until next
	rest  int    // how much of the payload is still unread
	first bool   // the packet begins a message, and does not continue the one before it
	more  bool   // the next one continues it
}

func newPackets(in io.Reader) *packets {
	return &packets{in: bufio.NewReaderSize(in, bufferSize)}
}

// next reads a header of three bytes of length and one of sequence, and the payload's beginning.
func (p *packets) next() error {
	p.first = !p.more
	p.bytes = slices.Grow(p.bytes[:0], headerSize)[:headerSize]
	if _, err := io.ReadFull(p.in, p.bytes); err != nil {
		return err
	}
	size := int(p.bytes[0]) | int(p.bytes[1])<<8 | int(p.bytes[2])<<16
	p.more = size == maxLength
	kept := min(size, inspected)
	p.rest = size - kept
	p.bytes = slices.Grow(p.bytes, kept)[:headerSize+kept]
	_, err := io.ReadFull(p.in, p.bytes[headerSize:])
	return err
}

// writeTo passes the packet on.
func (p *packets) writeTo(w io.Writer) error {
	if _, err := w.Write(p.bytes); err != nil {
		return err
	}
	return p.drain(w)
}

func (p *packets) drain(w io.Writer) error {
	if p.rest == 0 {
		return nil
	}
	_, err := io.CopyN(w, p.in, int64(p.rest))
	p.rest = 0
	return err
}

// skip reads to the end of the message, whose packet next has returned, and forgets it.
func (p *packets) skip() error {
	for {
		if err := p.drain(io.Discard); err != nil || !p.more {
			return err
		}
		if err := p.next(); err != nil {
			return err
		}
	}
}

func (p *packets) payload() []byte { return p.bytes[headerSize:] }

// statement returns the text of a statement, if the packet is one.
func (p *packets) statement() ([]byte, bool) {
	payload := p.payload()
	if !p.first || p.bytes[3] != 0 || len(payload) == 0 || payload[0] != comQuery {
		return nil, false
	}
	return payload[1:], true
}

// errorCode returns the code of an error, if the server's packet is one.
func (p *packets) errorCode() (uint16, bool) {
	payload := p.payload()
	if !p.first || len(payload) < 3 || payload[0] != errorMarker {
		return 0, false
	}
	return binary.LittleEndian.Uint16(payload[1:]), true
}

// simple reports whether the server's packet is its whole answer: success, or an error.
func (p *packets) simple() bool {
	payload := p.payload()
	return len(payload) > 0 && (payload[0] == okMarker || payload[0] == errorMarker)
}

// errorPacket is the answer to a statement, whose sequence number is 0.
func errorPacket(code uint16) []byte {
	payload := append([]byte{errorMarker, byte(code), byte(code >> 8)}, "#HY000"+ErrorText...)
	return append([]byte{byte(len(payload)), 0, 0, 1}, payload...)
}

// okPacket is the answer to a statement that has changed nothing: no rows, no ID, autocommit, no
// warnings.
func okPacket() []byte { return []byte{7, 0, 0, 1, okMarker, 0, 0, 2, 0, 0, 0} }
