package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// maxErrorTexts is how many different errors a summary tells apart.
const maxErrorTexts = 10

// otherErrors counts those beyond.
const otherErrors = "other errors"

// counts say what became of messages.
type counts struct {
	Messages     int `json:"messages"`
	Acknowledged int `json:"acknowledged"`
	Failed       int `json:"failed"`
	Unknown      int `json:"unknown"`
}

func (c *counts) add(s status) {
	c.Messages++
	switch s {
	case acknowledged:
		c.Acknowledged++
	case failed:
		c.Failed++
	case unknown, sending:
		c.Unknown++
	}
}

// summary is what a load prints at its end.
type summary struct {
	Seed   *uint64 `json:"seed,omitempty"`
	RunID  string  `json:"run_id,omitempty"`
	Orders int     `json:"orders"` // that were to be generated, or sent from a file
	counts
	InvalidLines int             `json:"invalid_lines"`
	Kinds        map[kind]counts `json:"kinds"`
	Errors       map[string]int  `json:"errors,omitempty"`
	Seconds      float64         `json:"seconds"`
	Rate         float64         `json:"rate"` // acknowledged messages a second
	Interrupted  bool            `json:"interrupted"`
}

// tally counts while a load runs. It is safe for concurrent use.
type tally struct {
	mu      sync.Mutex
	started time.Time
	all     counts
	invalid int
	kinds   map[kind]counts
	errors  map[string]int
}

func newTally() *tally {
	t := &tally{started: time.Now(), kinds: map[kind]counts{}, errors: map[string]int{}}
	for _, k := range kinds() {
		t.kinds[k] = counts{}
	}
	return t
}

func (t *tally) add(k kind, d delivery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.add(d.status)
	c := t.kinds[k]
	c.add(d.status)
	t.kinds[k] = c
	if d.err == nil {
		return
	}
	text := oneLine(d.err)
	if _, known := t.errors[text]; !known && len(t.errors) >= maxErrorTexts {
		text = otherErrors
	}
	t.errors[text]++
}

func (t *tally) invalidLine() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.invalid++
}

// now returns the counts so far.
func (t *tally) now() (all counts, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all, time.Since(t.started)
}

// summary completes what the load began.
func (t *tally) summary(s summary, interrupted bool) summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.counts, s.InvalidLines, s.Interrupted = t.all, t.invalid, interrupted
	s.Kinds, s.Errors = maps.Clone(t.kinds), maps.Clone(t.errors)
	if s.RunID == "" {
		s.Orders = t.all.Messages
	}
	took := time.Since(t.started).Seconds()
	s.Seconds = math.Round(took*1000) / 1000
	s.Rate = math.Round(float64(t.all.Acknowledged)/took*10) / 10
	return s
}

func (a *app) printSummary(s summary, format string) error {
	switch format {
	case "json":
		return a.PrintJSON(s)
	case "jsonl":
		return json.NewEncoder(a.Stdout).Encode(s)
	}
	table := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, c counts) {
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t\n",
			name, c.Messages, c.Acknowledged, c.Failed, c.Unknown)
	}
	_, _ = fmt.Fprintln(table, "\tmessages\tacknowledged\tfailed\tunknown\t")
	for _, k := range kinds() {
		if c := s.Kinds[k]; c.Messages > 0 {
			row(string(k), c)
		}
	}
	row("all", s.counts)
	if err := table.Flush(); err != nil {
		return err
	}
	if s.InvalidLines > 0 {
		a.Printf("%d lines were not valid and not sent\n", s.InvalidLines)
	}
	for _, text := range slices.Sorted(maps.Keys(s.Errors)) {
		a.Printf("%d times: %s\n", s.Errors[text], text)
	}
	a.Printf("%.1f s, %.0f messages a second", s.Seconds, s.Rate)
	if s.Seed != nil {
		a.Printf(", seed %d, run ID %s", *s.Seed, s.RunID)
	}
	if s.Interrupted {
		a.Printf(", interrupted")
	}
	a.Printf("\n")
	return nil
}
