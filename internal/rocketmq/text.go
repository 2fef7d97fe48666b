package rocketmq

import (
	"strings"
	"unicode"
)

// maxTextBytes bounds what is repeated of a text that somebody else wrote.
const maxTextBytes = 240

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
