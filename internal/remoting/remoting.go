// Package remoting speaks RocketMQ's own protocol, as far as this project needs it beside the
// official client, which hides what is needed here: it ignores the answer to "create topic", it
// cannot ask a broker who it is or where a queue begins, and it cannot look at frames that pass
// by, as a proxy does.
//
// A frame is a 4-byte length, a 4-byte header length whose first byte names the header's encoding
// (0 JSON, 1 binary), the header, and the body.
package remoting

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxFrame is the largest frame, in bytes, that is read. A broker refuses larger ones as well.
const MaxFrame = 16 << 20

// Codes of the requests that this project looks at or makes.
const (
	SendMessage      = 10
	CreateTopic      = 17
	UpdateConfig     = 25
	BrokerConfig     = 26
	RouteOfTopic     = 105
	SendMessageV2    = 310
	NameServerConfig = 319
	SendBatch        = 320
)

// responseFlag is the bit of Flag that tells an answer from a request.
const responseFlag = 1

// Header is what a frame says about itself.
type Header struct {
	Code     int               `json:"code"`
	Language string            `json:"language"`
	Version  int               `json:"version"`
	Opaque   int32             `json:"opaque"`
	Flag     int32             `json:"flag"`
	Remark   string            `json:"remark,omitempty"`
	Fields   map[string]string `json:"extFields,omitempty"`
}

// IsResponse reports whether the frame answers the request of the same Opaque.
func (h Header) IsResponse() bool { return h.Flag&responseFlag != 0 }

// IsSend reports whether the frame asks the broker to store one message or a batch.
func (h Header) IsSend() bool {
	switch h.Code {
	case SendMessage, SendMessageV2, SendBatch:
		return !h.IsResponse()
	}
	return false
}

// Topic returns the topic that a send request names, under either of the two names that the
// protocol has for it ("b" is what version 2 calls it to save bytes).
func (h Header) Topic() string {
	if h.Code == SendMessage {
		return h.Fields["topic"]
	}
	return h.Fields["b"]
}

// Frame is one request or answer. Raw holds the frame exactly as it was read, its length
// included, so that a proxy passes on the very bytes.
type Frame struct {
	Header Header
	Body   []byte
	Raw    []byte
}

var errFrame = errors.New("remoting: malformed frame")

// Read returns the next frame. It returns io.EOF only between two frames.
func Read(r io.Reader) (Frame, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return Frame{}, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 4 || n > MaxFrame {
		return Frame{}, fmt.Errorf("%w: length %d", errFrame, n)
	}
	raw := make([]byte, 4+n)
	copy(raw, length[:])
	if _, err := io.ReadFull(r, raw[4:]); errors.Is(err, io.EOF) {
		return Frame{}, fmt.Errorf("remoting: frame cut short: %w", io.ErrUnexpectedEOF)
	} else if err != nil {
		return Frame{}, fmt.Errorf("remoting: frame cut short: %w", err)
	}
	return parse(raw)
}

func parse(raw []byte) (Frame, error) {
	encoding, size := raw[4], int(binary.BigEndian.Uint32(raw[4:8])&0xFFFFFF)
	rest := raw[8:]
	if size > len(rest) {
		return Frame{}, fmt.Errorf("%w: header of %d bytes in a frame of %d", errFrame, size, len(raw))
	}
	f := Frame{Body: rest[size:], Raw: raw}
	var err error
	switch encoding {
	case 0:
		err = json.Unmarshal(rest[:size], &f.Header)
	case 1:
		f.Header, err = parseBinary(rest[:size])
	default:
		err = fmt.Errorf("unknown header encoding %d", encoding)
	}
	if err != nil {
		return Frame{}, fmt.Errorf("%w: %w", errFrame, err)
	}
	return f, nil
}

// parseBinary reads the header that Java clients write when they are told
// -Drocketmq.serialize.type=ROCKETMQ. The language and the version are not looked at.
func parseBinary(b []byte) (Header, error) {
	c := cursor{rest: b}
	h := Header{Code: int(c.uint16())}
	c.take(1 + 2)
	h.Opaque, h.Flag = int32(c.uint32()), int32(c.uint32())
	h.Remark = string(c.take(int(c.uint32())))
	fields := cursor{rest: c.take(int(c.uint32()))}
	for len(fields.rest) > 0 && !fields.short {
		key := string(fields.take(int(fields.uint16())))
		value := string(fields.take(int(fields.uint32())))
		if h.Fields == nil {
			h.Fields = make(map[string]string)
		}
		h.Fields[key] = value
	}
	if c.short || fields.short {
		return Header{}, errors.New("binary header cut short")
	}
	return h, nil
}

// cursor takes bytes off the front of a slice and remembers when there were too few, so that the
// caller checks once at the end.
type cursor struct {
	rest  []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.short, c.rest = true, nil
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Encode returns the frame of a header and a body, with the header in JSON, which every server
// understands.
func Encode(h Header, body []byte) ([]byte, error) {
	header, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("remoting: encode header: %w", err)
	}
	n := 4 + len(header) + len(body)
	if n > MaxFrame {
		return nil, fmt.Errorf("remoting: frame of %d bytes, at most %d", n, MaxFrame)
	}
	raw := make([]byte, 0, 4+n)
	raw = binary.BigEndian.AppendUint32(raw, uint32(n))
	raw = binary.BigEndian.AppendUint32(raw, uint32(len(header)))
	raw = append(raw, header...)
	return append(raw, body...), nil
}
