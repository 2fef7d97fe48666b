package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"
)

// Journal writes down what a run does: the seed, each case, each fault with what proves that it
// happened, each violation. It counts the faults by kind and by proof. Its methods are safe for
// concurrent use.
type Journal struct {
	mu    sync.Mutex
	file  *os.File
	begin time.Time
	name  string // of the case that runs
	fired map[string]int
	// byProof divides a kind, such as kills, by where it happened.
	byProof map[string]map[string]int
	err     error
}

// line is one line of a journal.
type line struct {
	Seconds float64 `json:"t"`
	Case    string  `json:"case,omitempty"`
	Event   string  `json:"event"`
	What    string  `json:"what,omitempty"`
	Count   int     `json:"count,omitempty"`
	Proof   string  `json:"proof,omitempty"`
	Seed    uint64  `json:"seed,omitempty"`
}

func newJournal(path string, seed uint64) (*Journal, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{
		file: file, begin: time.Now(),
		fired: map[string]int{}, byProof: map[string]map[string]int{},
	}
	j.write(line{Event: "begin", Seed: seed})
	return j, nil
}

func (j *Journal) write(l line) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l.Seconds, l.Case = time.Since(j.begin).Seconds(), j.name
	j.err = errors.Join(j.err, json.NewEncoder(j.file).Encode(l))
}

// enter names the case that the following lines belong to.
func (j *Journal) enter(name string) {
	j.mu.Lock()
	j.name = name
	j.mu.Unlock()
	j.write(line{Event: "case"})
}

// Plan writes down what a case is about to do.
func (j *Journal) Plan(format string, args ...any) {
	j.write(line{Event: "plan", What: fmt.Sprintf(format, args...)})
}

// Fired says that a fault really happened, and what shows it.
func (j *Journal) Fired(kind, proof string) { j.FiredTimes(kind, 1, proof) }

// FiredTimes says so of many; nothing is counted for 0.
func (j *Journal) FiredTimes(kind string, times int, proof string) {
	if times <= 0 {
		return
	}
	j.mu.Lock()
	j.fired[kind] += times
	if j.byProof[kind] == nil {
		j.byProof[kind] = map[string]int{}
	}
	j.byProof[kind][proof] += times
	j.mu.Unlock()
	j.write(line{Event: "fault", What: kind, Count: times, Proof: proof})
}

// Counts returns how many faults of each kind have happened.
func (j *Journal) Counts() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.fired)
}

// Proofs returns how often a kind happened, divided by what proved it.
func (j *Journal) Proofs(kind string) map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.byProof[kind])
}

func (j *Journal) violation(v Violation) {
	j.write(line{Event: "violation", What: v.Invariant, Proof: v.Detail})
}

func (j *Journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return errors.Join(j.err, j.file.Close())
}
