package ops

import (
	"strings"
	"sync"
)

const (
	labelWords  = 48 // different words of one label
	labelLength = 32 // bytes of one word
	otherWord   = "other"
)

// words bounds the values of one label. The callers pass words from short lists; should one of
// them ever pass something else, the metric must not grow with the traffic, nor show content.
type words struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

func newWords() *words { return &words{seen: map[string]struct{}{}} }

// word returns the value to use for a label: the word, or "other".
func (w *words) word(value string) string {
	if value == "" {
		return "none"
	}
	if !isWord(value) {
		return otherWord
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.seen[value]; ok {
		return value
	}
	if len(w.seen) >= labelWords {
		return otherWord
	}
	w.seen[value] = struct{}{}
	return value
}

// isWord accepts lower-case words such as unknown_account. Serial numbers and accounts are
// hardly ever written like that.
func isWord(value string) bool {
	return len(value) <= labelLength && strings.Trim(value, "abcdefghijklmnopqrstuvwxyz_") == "" ||
		value == "bad_utf8"
}
