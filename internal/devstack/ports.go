package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that systems hand out to outgoing connections, so that
// one which was free a moment ago is not taken by a client before the server listens on it.
const (
	firstPort    = 20000
	lastPort     = 30000
	portAttempts = 500
)

// loopback is where every server listens.
const loopback = "127.0.0.1"

// ports are the addresses of one stack.
type ports struct {
	NameServer int `json:"name_server"`
	// Broker-2 is taken as well: the broker opens it for a second kind of client.
	Broker int `json:"broker"`
	// Replication is where the broker waits for a replica, which never comes.
	Replication int `json:"replication"`
	MySQL       int `json:"mysql"`
	Redis       int `json:"redis"`
}

// pickPorts keeps the earlier ports of a stack if all of them are free, so that addresses which
// somebody has noted down stay valid, and otherwise takes new ones.
func pickPorts(earlier ports, proxy string) (ports, error) {
	if earlier.Broker != 0 && earlier.free(proxy) {
		return earlier, nil
	}
	for range portAttempts {
		// Steps of three leave room for the broker's port - 2.
		at := func() int { return firstPort + 3*rand.IntN((lastPort-firstPort)/3) }
		p := ports{NameServer: at(), Broker: at(), Replication: at(), MySQL: at(), Redis: at()}
		if p.distinct() && p.free(proxy) {
			return p, nil
		}
	}
	return ports{}, fmt.Errorf("no free ports from %d to %d on %s", firstPort, lastPort, loopback)
}

func (p ports) all() []int {
	return []int{p.NameServer, p.Broker, p.Broker - 2, p.Replication, p.MySQL, p.Redis}
}

func (p ports) distinct() bool {
	seen := make(map[int]bool)
	for _, port := range p.all() {
		if seen[port] {
			return false
		}
		seen[port] = true
	}
	return true
}

// free reports whether nobody listens on any of the ports, nor on the broker's port at the
// address of its proxy.
func (p ports) free(proxy string) bool {
	for _, port := range p.all() {
		if !portFree(loopback, port) {
			return false
		}
	}
	return proxy == "" || portFree(proxy, p.Broker)
}

// errPortTaken ends a start that may be tried again with other ports.
var errPortTaken = errors.New("its port was taken by another program")

func portFree(host string, port int) bool {
	listener, err := net.Listen("tcp", address(host, port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// listening reports whether anybody listens on addr.
func listening(addr string) bool {
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		_ = listener.Close()
	}
	return err != nil
}
