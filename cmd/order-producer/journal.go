package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// journal keeps what was sent, so that somebody can check later that nothing was lost. Each line
// is handed to the operating system before the program goes on: a killed program leaves no
// message that was sent without its first line. A nil journal keeps nothing.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	runID string
	n     int64
}

// entry is one line of a journal.
type entry struct {
	N         int64  `json:"n"`
	RunID     string `json:"run_id,omitempty"`
	Kind      kind   `json:"kind"`
	OrderID   string `json:"order_id"`
	Serial    string `json:"serial_no"`
	Amount    int64  `json:"amount_minor"`
	MessageID string `json:"message_id,omitempty"`
	Status    status `json:"status"`
	Sends     int    `json:"sends,omitempty"`
	Error     string `json:"error,omitempty"`
}

// createJournal makes a new file: what an earlier run has written is never touched.
func createJournal(path, runID string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // public
	if os.IsExist(err) {
		return nil, fmt.Errorf("--journal %s exists already; name a new file", path)
	}
	if err != nil {
		return nil, fmt.Errorf("--journal: %w", err)
	}
	return &journal{file: file, runID: runID}, nil
}

// begin numbers a message that is about to be sent, and writes it down.
func (j *journal) begin(m message) (int64, error) {
	if j == nil {
		return 0, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.n++
	return j.n, j.write(m, entry{N: j.n, Status: sending})
}

// end writes down what became of a message.
func (j *journal) end(n int64, m message, d delivery) error {
	if j == nil {
		return nil
	}
	e := entry{N: n, MessageID: d.MessageID, Status: d.status, Sends: d.sends}
	if d.err != nil {
		e.Error = oneLine(d.err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(m, e)
}

func (j *journal) write(m message, e entry) error {
	e.RunID, e.Kind, e.OrderID = j.runID, m.kind, m.key
	e.Serial, e.Amount = string(m.order.Serial), m.order.Amount.Minor
	if err := json.NewEncoder(j.file).Encode(e); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}
