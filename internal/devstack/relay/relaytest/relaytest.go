// Package relaytest is a client's end of a connection, for the tests of what is put in its way.
package relaytest

import (
	"net"
	"testing"
	"time"
)

const (
	// Patience bounds every wait; no test needs it unless it fails.
	Patience = 3 * time.Minute
	// Glimpse is how long a test looks for what must not come. Nothing fails because it is short.
	Glimpse = 100 * time.Millisecond
)

// Dial connects to an address, until the test's end and with Patience for all that is read and
// written.
func Dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}
