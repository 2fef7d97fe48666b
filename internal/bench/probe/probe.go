// Package probe notes when payments are committed, inside the program that commits them. Only the
// benchmark compiles it in. One process writes a log, and another one, whose clock is the same,
// reads it.
package probe

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Variable names the file that a log is written to. Without it nothing is noted.
const Variable = "PAYMENT_LAB_PROBE"

// flushEvery is how long a note may wait for the reader.
const flushEvery = 50 * time.Millisecond

// Log is a file of lines, a serial number and a time in Unix nanoseconds each. A nil Log takes
// notes and drops them. It is safe for concurrent use, and lives as long as its process.
type Log struct {
	mu  sync.Mutex
	out *bufio.Writer
}

// FromEnv opens the log that the environment names. It panics if that cannot be written: what a
// benchmark cannot see it must not measure.
func FromEnv() *Log {
	path := os.Getenv(Variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(fmt.Sprintf("probe: %v", err))
	}
	l := &Log{out: bufio.NewWriterSize(file, 1<<16)}
	go func() {
		for range time.Tick(flushEvery) {
			l.flush()
		}
	}()
	return l
}

func (l *Log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.out.Flush() // a line that is missing fails the measurement
}

// Committed notes that a payment is committed, at the time at.
func (l *Log) Committed(serial string, at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.WriteString(serial + " " + strconv.FormatInt(at.UnixNano(), 10) + "\n")
}

// Read returns the times that are noted in a file so far, by serial number. A serial that was
// noted more than once keeps its first time. A file that is not there has no notes.
func Read(path string) (map[string]time.Time, error) {
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	noted := make(map[string]time.Time)
	for line := range strings.Lines(string(text)) {
		serial, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		nanos, err := strconv.ParseInt(number, 10, 64)
		if err != nil || !strings.HasSuffix(line, "\n") {
			continue // the end of it is still to come
		}
		if _, again := noted[serial]; !again {
			noted[serial] = time.Unix(0, nanos)
		}
	}
	return noted, nil
}
