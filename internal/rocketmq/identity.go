package rocketmq

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"
)

// UniqueInstance makes a name for one client, or for the clients of one process. The client's
// default name is the address and the process number, which two containers share: the group would
// then divide the queues wrongly, and both would read the same ones.
func UniqueInstance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:10])
}

// NewMessageID mints a message's unique ID. The client's own IDs repeat: they are made of the
// address, the process number, the second and a 16-bit counter, of which containers share the
// first two. The layout is the one that the broker's tools know: they look for the time, in
// milliseconds since the month began, in bytes 10 to 13. The rest is random.
func NewMessageID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	now := time.Now()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	sinceMonth := uint32(now.Sub(month).Milliseconds())
	binary.BigEndian.PutUint32(id[10:14], sinceMonth)
	return strings.ToUpper(hex.EncodeToString(id[:]))
}

// clientAddresses writes name servers so that the client takes host names: it refuses anything
// but an IP address, unless it looks like a URL, whose scheme it then cuts off.
func clientAddresses(nameServers []string) []string {
	urls := make([]string, len(nameServers))
	for i, s := range nameServers {
		urls[i] = "http://" + s
	}
	return urls
}
