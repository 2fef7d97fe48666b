package mysqlproxy

import (
	"bytes"
	"sync"

	"example.com/payment/internal/devstack/rule"
)

// commit is the one statement that a Match compares as a whole: the word also stands in others,
// and in what senders put into their messages.
const commit = "COMMIT"

// Match says which statements a rule is for.
type Match struct {
	// Statement is a text that the statement contains; COMMIT has to be all of it. Empty is any.
	Statement string
	// After, unless empty, is a text that the beginning of an earlier statement of the same
	// transaction contains: its first 256 bytes are kept.
	After string
}

// Containing is a match for statements with a text, or for COMMIT.
func Containing(text string) Match { return Match{Statement: text} }

// CommitAfter is a match for the commits of transactions that have sent a statement with a text.
// CommitAfter("INSERT INTO payments") is the commits that decide payments, and no others.
func CommitAfter(text string) Match { return Match{Statement: commit, After: text} }

func (m Match) fits(statement []byte, tx *transaction) bool {
	if m.Statement == commit {
		if string(statement) != commit {
			return false
		}
	} else if !bytes.Contains(statement, []byte(m.Statement)) {
		return false
	}
	return m.After == "" || tx.saw(m.After)
}

// Fate is what becomes of a statement on its way.
type Fate struct {
	kind kind
	code uint16
}

type kind int

const (
	pass kind = iota
	cutBefore
	cutAfter
	refuse
	lie
	hold
	swallow
	accept
)

// Pass lets the statement through: the rule only counts.
func Pass() Fate { return Fate{} }

// CutBefore breaks the connection before the statement reaches the server.
func CutBefore() Fate { return Fate{kind: cutBefore} }

// CutAfter lets the server carry the statement out and breaks the connection when it answers.
func CutAfter() Fate { return Fate{kind: cutAfter} }

// Refuse answers with an error that the proxy makes up; the server never sees the statement.
func Refuse(code uint16) Fate { return Fate{kind: refuse, code: code} }

// Accept answers that all is well; the server never sees the statement. So do pools of connections
// with what a client wants to set for its session.
func Accept() Fate { return Fate{kind: accept} }

// Lie lets the server carry the statement out and answers with an error all the same. A statement
// that returns rows costs the connection as well.
func Lie(code uint16) Fate { return Fate{kind: lie, code: code} }

// Hold keeps the statement until the rule is released, even if the client goes away meanwhile:
// then it reaches the server late, as out of a network that was stuck.
func Hold() Fate { return Fate{kind: hold} }

// Swallow lets the server carry the statement out and loses the answer and all that follows. The
// connection stays open, and the server does not learn that the client gives up.
func Swallow() Fate { return Fate{kind: swallow} }

// Rule is one fault. A fault that needs the server's answer counts as fired when that has come:
// so the server did carry the statement out.
type Rule struct {
	*rule.Rule
	match   Match
	fate    Fate
	once    sync.Once
	release chan struct{}
}

// Release lets the statements that Hold keeps go on, and later ones pass at once.
func (r *Rule) Release() { r.once.Do(func() { close(r.release) }) }
