package rocketmq

import (
	"strings"
	"unicode"
)

// maxTextBytes bounds what is repeated of a text that somebody else wrote.
const maxTextBytes = 240

// cut shortens a text to so many bytes.
func cut(s string, bytes int) string { return s[:min(len(s), bytes)] }

// bounded cuts a foreign text down to one printable line of limited length.
func bounded(s string) string {
	if len(s) > maxTextBytes {
		s = s[:maxTextBytes] + "..."
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
}
