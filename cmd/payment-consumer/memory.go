package main

import (
	"os"
	"runtime/debug"
)

// What is live here is small, some ten megabytes, and what is thrown away is much: a few kilobytes
// for each message. By default the collector would run many times a second, and scan the stacks of
// a thousand handlers each time. So the heap may grow to four times what is live; beyond softLimit
// bytes, which large messages can reach, the collector works harder instead.
const (
	collectAt = 300 // per cent of what is live
	softLimit = 256 << 20
)

// tuneCollector sets what the operator has not set with the Go runtime's own variables.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
}
