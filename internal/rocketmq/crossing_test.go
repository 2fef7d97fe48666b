package rocketmq

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crossing is a way to the broker on which a test can lose things. Clients dial what the name
// server hands out, so it stands before the name server too, and hands out its own address.
type crossing struct {
	nameServers []string
	toBroker    *forwarder
	swallowing  atomic.Bool
	slowness    atomic.Int64
}

func newCrossing(t *testing.T, b broker) *crossing {
	t.Helper()
	c := &crossing{}
	there := func(client, server net.Conn) {
		for rewriteFrame(server, client, forgetMemory) == nil {
		}
	}
	c.toBroker = forward(t, b.address, there, func(client, server net.Conn) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			if c.swallowing.Load() {
				continue
			}
			time.Sleep(time.Duration(c.slowness.Load())) // the fault itself
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	rename := func(header, body []byte) ([]byte, []byte) {
		return header, bytes.ReplaceAll(body, []byte(b.address), []byte(c.toBroker.address))
	}
	copyAll := func(client, server net.Conn) { _, _ = io.Copy(server, client) }
	toNames := forward(t, b.nameServers[0], copyAll, func(client, server net.Conn) {
		for rewriteFrame(client, server, rename) == nil {
		}
	})
	c.nameServers = []string{toNames.address}
	return c
}

// swallow loses the broker's answers, or stops to.
func (c *crossing) swallow(on bool) { c.swallowing.Store(on) }

// slow delays the broker's answers.
func (c *crossing) slow(d time.Duration) { c.slowness.Store(int64(d)) }

// forgetMemory asks for committed offsets in such a way that the broker answers as it does for
// messages that are no longer in memory: that there is none, instead of 0.
func forgetMemory(header, body []byte) (newHeader, newBody []byte) {
	if bytes.Contains(header, []byte(`"code":14,`)) {
		header = bytes.Replace(header, []byte(`"extFields":{`),
			[]byte(`"extFields":{"setZeroIfNotFound":"false",`), 1)
	}
	return header, body
}

// close cuts all connections to the broker and refuses new ones.
func (c *crossing) close() { c.toBroker.close() }

// rewriteFrame passes one frame on, changed.
func rewriteFrame(w io.Writer, r io.Reader, change func(header, body []byte) ([]byte, []byte)) error {
	var lengths [8]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(lengths[4:]) & 0xffffff
	content := make([]byte, binary.BigEndian.Uint32(lengths[:4])-4)
	if _, err := io.ReadFull(r, content); err != nil {
		return err
	}
	header, body := change(content[:length], content[length:])
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	frame = append(frame, header...)
	_, err := w.Write(append(frame, body...))
	return err
}

// forwarder stands before a server; both ways are the test's.
type forwarder struct {
	address string
	accept  net.Listener
	mu      sync.Mutex
	closed  bool
	open    []net.Conn
	all     sync.WaitGroup
}

func forward(t *testing.T, target string, there, back func(client, server net.Conn)) *forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{address: l.Addr().String(), accept: l}
	f.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil || !f.keep(client, server) {
				_ = client.Close()
				continue
			}
			f.all.Go(func() {
				there(client, server)
				_ = server.Close()
			})
			f.all.Go(func() {
				back(client, server)
				_ = client.Close()
			})
		}
	})
	t.Cleanup(func() {
		f.close()
		f.all.Wait()
	})
	return f
}

// keep remembers connections for close; it says no when that has been.
func (f *forwarder) keep(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, conns...)
	if f.closed {
		_ = errors.Join(conns[0].Close(), conns[1].Close())
	}
	return !f.closed
}

func (f *forwarder) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	_ = f.accept.Close()
	for _, conn := range f.open {
		_ = conn.Close()
	}
}
