package order

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep the arrays and objects of a message may nest, the message's own object
// included. Known fields do not nest: the limit is for what newer producers may add.
const MaxDepth = 32

// kind is the JSON type of a value. The zero kind is a value that was not there.
type kind uint8

const (
	absent kind = iota
	null
	boolean
	number
	text
	array
	object
)

// value is a scanned value. raw is a number's literal, or what stands between the quotes of a
// text; it is a part of the body.
type value struct {
	kind    kind
	escaped bool
	raw     []byte
}

// scanner reads JSON more strictly than encoding/json: no name may come twice in one object, in
// whatever case or spelling, and half a surrogate pair is refused, not replaced. The data must be
// valid UTF-8.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// message scans all of the data, which must be one object, and returns its known fields.
func (s *scanner) message() (message, error) {
	var m message
	s.space()
	if s.peek() != '{' {
		return m, invalid(CodeNotObject, "", "must be one JSON object")
	}
	if err := s.object(&m); err != nil {
		return m, err
	}
	s.space()
	if s.pos < len(s.data) {
		return m, invalid(CodeTrailing, "", "nothing may follow the object, at "+s.place())
	}
	return m, nil
}

func (s *scanner) value() (value, error) {
	switch c := s.peek(); c {
	case '{':
		return value{kind: object}, s.object(nil)
	case '[':
		return value{kind: array}, s.array()
	case '"':
		return s.text()
	case 't':
		return value{kind: boolean}, s.literal("true")
	case 'f':
		return value{kind: boolean}, s.literal("false")
	case 'n':
		return value{kind: null}, s.literal("null")
	default:
		return s.number()
	}
}

// object scans an object. Known fields go to m, which is nil for an object within the message.
func (s *scanner) object(m *message) error {
	var others names
	return s.list('}', func() error {
		return s.member(m, &others)
	})
}

func (s *scanner) array() error {
	return s.list(']', func() error {
		_, err := s.value()
		return err
	})
}

// list scans an opening bracket, elements separated by commas, and the closing bracket.
func (s *scanner) list(closing byte, element func() error) error {
	if s.depth == MaxDepth {
		return invalid(CodeTooDeep, "",
			"may nest "+strconv.Itoa(MaxDepth)+" deep, not deeper, at "+s.place())
	}
	s.depth++
	s.pos++
	s.space()
	// After a comma there must be an element: only an empty list closes at once.
	for first := true; !first || s.peek() != closing; first = false {
		if err := element(); err != nil {
			return err
		}
		s.space()
		if s.peek() != ',' {
			break
		}
		s.pos++
		s.space()
	}
	if !s.accept(closing) {
		return s.unexpected("',' or '" + string(closing) + "'")
	}
	s.depth--
	return nil
}

// member scans a name, a colon and a value.
func (s *scanner) member(m *message, others *names) error {
	name, err := s.text()
	if err != nil {
		return err
	}
	known, err := m.field(name.bytes())
	if err == nil && known == nil {
		err = others.add(name.bytes(), s)
	}
	if err != nil {
		return err
	}
	s.space()
	if !s.accept(':') {
		return s.unexpected("':'")
	}
	s.space()
	v, err := s.value()
	if known != nil {
		*known = v
	}
	return err
}

// number scans a number by JSON's grammar and leaves what follows it to the caller.
func (s *scanner) number() (value, error) {
	start := s.pos
	s.accept('-')
	leadingZero := s.accept('0')
	ok := leadingZero || s.digits()
	if ok && s.accept('.') {
		ok = s.digits()
	}
	if ok && (s.accept('e') || s.accept('E')) {
		_ = s.accept('+') || s.accept('-')
		ok = s.digits()
	}
	if !ok {
		return value{}, s.unexpected("a JSON value")
	}
	return value{kind: number, raw: s.data[start:s.pos]}, nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for isDigit(s.peek()) {
		s.pos++
	}
	return s.pos > start
}

// text scans a string in quotes.
func (s *scanner) text() (value, error) {
	if !s.accept('"') {
		return value{}, s.unexpected("a name in quotes")
	}
	v := value{kind: text}
	for start := s.pos; s.pos < len(s.data); {
		switch c := s.data[s.pos]; {
		case c == '"':
			v.raw = s.data[start:s.pos]
			s.pos++
			return v, nil
		case c == '\\':
			v.escaped = true
			if err := s.escape(); err != nil {
				return value{}, err
			}
		case c < ' ':
			return value{}, s.unexpected("a control character to be escaped")
		default:
			s.pos++
		}
	}
	return value{}, s.unexpected("a closing quote")
}

// escape scans a backslash and what belongs to it: for the first half of a surrogate pair, the
// second half too.
func (s *scanner) escape() error {
	_, size := unescapeOne(s.data[s.pos:])
	switch size {
	case badEscape:
		return s.unexpected("an escape that JSON knows")
	case halfPair:
		return invalid(CodeBadUTF8, "", "half of a surrogate pair at "+s.place())
	}
	s.pos += size
	return nil
}

func (s *scanner) literal(want string) error {
	if len(s.data)-s.pos < len(want) || string(s.data[s.pos:s.pos+len(want)]) != want {
		return s.unexpected(want)
	}
	s.pos += len(want)
	return nil
}

func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

// peek returns the next byte, or 0 at the end: a 0 in the data is nowhere allowed either.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) unexpected(wanted string) error {
	return invalid(CodeBadJSON, "", "expected "+wanted+" at "+s.place())
}

func (s *scanner) place() string { return "byte " + strconv.Itoa(s.pos) }

// bytes returns the content of a text with its escapes resolved.
func (v value) bytes() []byte {
	if !v.escaped {
		return v.raw
	}
	out := make([]byte, 0, len(v.raw))
	for rest := v.raw; len(rest) > 0; {
		if rest[0] != '\\' {
			out, rest = append(out, rest[0]), rest[1:]
			continue
		}
		r, size := unescapeOne(rest)
		out, rest = utf8.AppendRune(out, r), rest[size:]
	}
	return out
}

// Sizes that unescapeOne returns for what is not an escape.
const (
	badEscape = 0
	halfPair  = -1
)

// unescapeOne reads the escape that b begins with and returns its rune and its size in bytes.
func unescapeOne(b []byte) (r rune, size int) {
	if len(b) < 2 {
		return 0, badEscape
	}
	switch c := b[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	}
	r, ok := hexEscape(b)
	if !ok {
		return 0, badEscape
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, _ := hexEscape(b[6:])
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, halfPair
	}
	return r, 12
}

// hexEscape reads \u and four hexadecimal digits, which strconv would accept with a sign too.
func hexEscape(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
