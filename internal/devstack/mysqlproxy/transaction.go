package mysqlproxy

import (
	"bytes"
	"strings"
)

const (
	// headSize is how much of each statement, in bytes, a transaction remembers: a text that
	// tells what a statement does stands at its beginning, before the values.
	headSize = 256
	// maxHeads is how many statements it remembers.
	maxHeads = 1000
)

// transaction remembers what one connection has sent since it began one.
type transaction struct {
	open  bool
	heads []string
}

// note follows the statements that begin and end transactions, and remembers those in between.
func (t *transaction) note(statement []byte) {
	switch {
	case begins(statement, "START TRANSACTION"), begins(statement, "BEGIN"):
		t.open, t.heads = true, t.heads[:0]
	case begins(statement, commit), string(statement) == "ROLLBACK":
		t.open, t.heads = false, t.heads[:0]
	case t.open && len(t.heads) < maxHeads:
		t.heads = append(t.heads, string(statement[:min(len(statement), headSize)]))
	}
}

func (t *transaction) saw(text string) bool {
	for _, head := range t.heads {
		if strings.Contains(head, text) {
			return true
		}
	}
	return false
}

func begins(statement []byte, word string) bool {
	return len(statement) >= len(word) && bytes.EqualFold(statement[:len(word)], []byte(word))
}
