package lab

import "encoding/json"

// Move is a part of the way of one message. It is drawn slower than it was; all numbers are real.
type Move struct {
	Seq uint64 `json:"seq"`
	// Kind is "sent", "decided" or "rejected".
	Kind string `json:"kind"`
	// Queue is the broker's queue, or -1 where nobody knows it any more.
	Queue    int    `json:"queue"`
	Consumer string `json:"consumer,omitempty"`
	Serial   string `json:"serial,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
	By       string `json:"by,omitempty"`
}

// The kinds of Move.
const (
	MoveSent     = "sent"
	MoveDecided  = "decided"
	MoveRejected = "rejected"
)

// Delivery is one answer: a delivery of an order message, and what became of it.
type Delivery struct {
	Seq       uint64 `json:"seq"`
	At        int64  `json:"at"` // Unix milliseconds
	Serial    string `json:"serial"`
	Order     string `json:"order"`
	Message   string `json:"message"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason,omitempty"`
	Duplicate bool   `json:"duplicate"`
	First     string `json:"first,omitempty"` // the first answer's outcome
	FirstAt   int64  `json:"first_at,omitempty"`
	By        string `json:"by"`
	Attempt   int    `json:"attempt"`
	Consumer  string `json:"consumer"`
	Steps     Steps  `json:"steps"`
	// LatencyUS is from the sender's call to the answer, 0 where the lab did not send it or has
	// forgotten when.
	LatencyUS int64 `json:"latency_us,omitempty"`
}

// Steps are microseconds.
type Steps struct {
	Wait   int64 `json:"wait"`
	Cache  int64 `json:"cache"`
	Find   int64 `json:"find"`
	Commit int64 `json:"commit"`
	Put    int64 `json:"put"`
}

// Counts are numbers since the ledger began.
type Counts struct {
	Sent    int64 `json:"sent"`
	Waiting int   `json:"waiting"` // sent by the lab, and not answered yet
	// Deliveries counts answers, Again those of messages that had one already.
	Deliveries int64            `json:"deliveries"`
	Again      int64            `json:"again"`
	Outcomes   map[string]int64 `json:"outcomes"`
	By         map[string]int64 `json:"by"`
	// Median is, for each step, the median of the last times that it took, in microseconds.
	Median Steps `json:"median"`
}

// Consumer is one consumer process.
type Consumer struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	State string `json:"state"` // a word: starting, ready, waiting, killed, ended
	// Down are the dependencies that it says are not there.
	Down    []string `json:"down,omitempty"`
	Handled int64    `json:"handled"`
	// InFlight is how many deliveries it has in its hands.
	InFlight int64 `json:"in_flight"`
}

// The states of a Consumer.
const (
	Starting = "starting"
	Ready    = "ready"
	Waiting  = "waiting"
	Killed   = "killed"
	Ended    = "ended"
)

// Program is one of the servers.
type Program struct {
	Name  string `json:"name"`
	State string `json:"state"` // up, down or starting
}

// The states of a Program.
const (
	Up   = "up"
	Down = "down"
)

// Machine is what the broker and the consumers say of themselves.
type Machine struct {
	Backlog []int64 `json:"backlog"` // by queue of the order topic
	Hits    int64   `json:"hits"`    // of the cache
	Misses  int64   `json:"misses"`
	Commits int64   `json:"commits"` // transactions
	Batch   float64 `json:"batch"`   // payments in each, on average
	Retries int64   `json:"retries"` // messages given back
	// Readers is how many of those queues have a consumer that reads them, if that is known: after a
	// change of the group it takes the broker up to a minute until they are all of them.
	Readers *int64 `json:"readers,omitempty"`
}

// Money is what accounts hold.
type Money struct {
	Accounts []Account `json:"accounts"`
	Count    int64     `json:"count"` // of all accounts
	Opening  int64     `json:"opening"`
	Balance  int64     `json:"balance"`
}

// Account is one account, in minor units.
type Account struct {
	ID       string `json:"id"`
	Currency string `json:"currency"`
	Opening  int64  `json:"opening"`
	Balance  int64  `json:"balance"`
}

// Audit is the verdict of the last audit, as payment-consumer audit prints it.
type Audit struct {
	At       int64     `json:"at"`    // Unix milliseconds, when it ended
	State    string    `json:"state"` // ok, violated, or blind when it could not look
	Findings []Finding `json:"findings,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// The states of an Audit.
const (
	AuditOK       = "ok"
	AuditViolated = "violated"
	AuditBlind    = "blind"
)

// Finding is what the audit says about one rule.
type Finding struct {
	Rule       string   `json:"rule"`
	Text       string   `json:"text"`
	Checked    int64    `json:"checked"`
	Violations int64    `json:"violations"`
	Examples   []string `json:"examples,omitempty"`
	Incomplete bool     `json:"incomplete,omitempty"`
}

// Second is one point of the charts.
type Second struct {
	At    int64 `json:"at"`    // Unix seconds
	All   int   `json:"all"`   // deliveries that were answered
	Paid  int   `json:"paid"`  // of them, those that moved money
	P50US int64 `json:"p50"`   // latency
	P99US int64 `json:"p99"`   // latency
	Known int   `json:"known"` // latencies that these are of
}

// Line is a sentence of the catalogue, with what stands in its gaps.
type Line struct {
	Key  string            `json:"key"`
	Args map[string]string `json:"args,omitempty"`
}

// Task is something that was asked for, and what happened.
type Task struct {
	ID     int64  `json:"id"`
	Action string `json:"action"`
	State  string `json:"state"` // running, done, failed or off
	Begun  int64  `json:"begun"` // Unix milliseconds
	Ended  int64  `json:"ended,omitempty"`
	Lines  []Line `json:"lines"`
	// Error is why it failed, in English: programs say it.
	Error string `json:"error,omitempty"`
}

// The states of a Task.
const (
	TaskRunning = "running"
	TaskDone    = "done"
	TaskFailed  = "failed"
	TaskOff     = "off" // called off, as a new ledger has begun
)

// Frame is what a page has not seen yet. What did not change is left out.
type Frame struct {
	Now        int64      `json:"now"`
	Fresh      bool       `json:"fresh,omitempty"` // begin anew: earlier frames are void
	Order      string     `json:"order,omitempty"` // the order of writes in force
	Moves      []Move     `json:"moves,omitempty"`
	Skipped    int        `json:"skipped,omitempty"` // moves that there was no room for
	Deliveries []Delivery `json:"deliveries,omitempty"`
	Counts     *Counts    `json:"counts,omitempty"`
	Consumers  []Consumer `json:"consumers,omitempty"`
	Servers    []Program  `json:"servers,omitempty"`
	Machine    *Machine   `json:"machine,omitempty"`
	Money      *Money     `json:"money,omitempty"`
	Audit      *Audit     `json:"audit,omitempty"`
	Seconds    []Second   `json:"seconds,omitempty"`
	Tasks      []Task     `json:"tasks,omitempty"`
	// Quarantine is how many messages are open in quarantine.
	Quarantine *int64 `json:"quarantine,omitempty"`
}

// Story is what there is to know about one serial number.
type Story struct {
	// Why is what payment-consumer why prints as JSON.
	Why json.RawMessage `json:"why"`
	// Deliveries are those that the lab remembers, the oldest first.
	Deliveries []Delivery `json:"deliveries"`
}
