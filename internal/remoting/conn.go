package remoting

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"
)

// callTimeout bounds one request when the caller's context has no earlier end.
const callTimeout = 5 * time.Second

// maxRemark is how much of a server's remark an error repeats, in bytes.
const maxRemark = 256

const (
	codeSuccess   = 0
	codeNoRoute   = 17
	clientVersion = 317
)

// RefusedError is an answer that is not success.
type RefusedError struct {
	Code   int
	Remark string
}

// Error gives the code and the beginning of the remark, whose further lines are a stack trace.
func (e *RefusedError) Error() string {
	remark, _, _ := strings.Cut(e.Remark, "\n")
	return fmt.Sprintf("refused with code %d: %s", e.Code, strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, remark[:min(len(remark), maxRemark)]))
}

// Conn is a connection for one request after the other. It is not safe for concurrent use.
type Conn struct {
	conn   net.Conn
	addr   string
	opaque int32
}

// Dial connects to a name server or a broker.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	dialer := net.Dialer{Timeout: callTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, addr: addr}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Call makes one request and returns the answer, which is an error of type *RefusedError unless
// the server said success. After any other error the connection is of no further use.
func (c *Conn) Call(
	ctx context.Context, code int, fields map[string]string, body []byte,
) (Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// A read does not look at the context; a deadline in the past ends it.
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return Frame{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })()
	c.opaque++
	answer, err := exchange(c.conn, Header{
		Code: code, Language: "GO", Version: clientVersion, Opaque: c.opaque, Fields: fields,
	}, body)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return Frame{}, fmt.Errorf("request %d to %s: %w", code, c.addr, err)
	}
	return answer, nil
}

func exchange(conn net.Conn, h Header, body []byte) (Frame, error) {
	raw, err := Encode(h, body)
	if err != nil {
		return Frame{}, err
	}
	if _, err := conn.Write(raw); err != nil {
		return Frame{}, err
	}
	for {
		answer, err := Read(conn)
		if err != nil {
			return Frame{}, err
		}
		if !answer.Header.IsResponse() || answer.Header.Opaque != h.Opaque {
			continue // a server may also ask, or answer a request that timed out
		}
		if answer.Header.Code != codeSuccess {
			return Frame{}, &RefusedError{answer.Header.Code, answer.Header.Remark}
		}
		return answer, nil
	}
}

// Call makes one request on a connection of its own; see Conn.Call.
func Call(
	ctx context.Context, addr string, code int, fields map[string]string, body []byte,
) (Frame, error) {
	conn, err := Dial(ctx, addr)
	if err != nil {
		return Frame{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.Call(ctx, code, fields, body)
}
