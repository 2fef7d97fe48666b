package faults

import (
	"bytes"
	"fmt"
	"strings"

	"example.com/payment/internal/order"
)

// HostileMessage is a message that is no valid order, made from one that is. Each differs from
// order to order, because the quarantine keeps the same content once.
type HostileMessage struct {
	// Case is the entry of the catalogue that it belongs to.
	Case, What string
	// Reason is why it must be rejected.
	Reason order.Code
	Key    func(order.Order) string
	Body   func(order.Order) []byte
}

// Hostile returns the hostile messages of cases F73 to F81 that a client library can send. What
// it cannot send is for Rig.Wire, and the valid orders that the business refuses are
// Sender.Refused.
func Hostile() []HostileMessage {
	var l hostileList
	l.bodies()
	l.syntax()
	l.fields()
	l.amounts()
	l.values()
	l.statements()
	l.keys()
	l.lines()
	return l
}

// hostileList collects hostile messages.
type hostileList []HostileMessage

func (l *hostileList) add(
	id, what string, reason order.Code, body func(order.Order) []byte,
) {
	*l = append(*l, HostileMessage{
		Case: id, What: what, Reason: reason, Body: body,
		Key: func(o order.Order) string { return string(o.ID) },
	})
}

// swap makes a message out of a valid one by replacing one piece of its body.
func (l *hostileList) swap(id, what string, reason order.Code, old, replacement string) {
	l.add(id, what, reason, func(o order.Order) []byte {
		return bytes.Replace(Body(o), []byte(old), []byte(replacement), 1)
	})
}

// whole makes a message of one piece of text.
func (l *hostileList) whole(id, what string, reason order.Code, body string) {
	l.add(id, what, reason, func(order.Order) []byte { return []byte(body) })
}

// key gives a valid body a key that is not its order's; %s in it stands for the order ID.
func (l *hostileList) key(id, pattern string) {
	*l = append(*l, HostileMessage{
		Case: id, What: "a key like " + pattern, Reason: order.CodeKey, Body: Body,
		Key: func(o order.Order) string { return strings.ReplaceAll(pattern, "%s", string(o.ID)) },
	})
}

func (l *hostileList) bodies() {
	l.whole("F73", "one brace", order.CodeBadJSON, "{")
	l.whole("F73", "one letter", order.CodeNotObject, "x")
	l.whole("F73", "one byte that is no text", order.CodeBadUTF8, "\xff")
	l.whole("F73", "one NUL", order.CodeNotObject, "\x00")
	l.add("F73", "a string", order.CodeNotObject, func(o order.Order) []byte {
		return fmt.Appendf(nil, `"%s"`, o.ID)
	})
	l.swap("F73", "over the limit", order.CodeTooLarge,
		`"memo":"`, `"memo":"`+strings.Repeat("x", 70<<10))
}

func (l *hostileList) syntax() {
	l.swap("F74", "invalid UTF-8", order.CodeBadUTF8, `"memo":"`, "\"memo\":\"\xff\xfe")
	l.swap("F74", "half of a surrogate pair", order.CodeBadUTF8, `"memo":"`, `"memo":"\ud83d`)
	l.swap("F74", "a NUL byte", order.CodeBadJSON, `"memo":"`, "\"memo\":\"\x00")
	l.swap("F74", "a NUL in the serial number", order.CodeID,
		`"serial_no":"`, `"serial_no":"\u0000`)
	l.add("F74", "a byte order mark", order.CodeBadUTF8, func(o order.Order) []byte {
		return append([]byte("\xef\xbb\xbf"), Body(o)...)
	})
	l.swap("F74", "depth 20,000", order.CodeTooDeep, `"memo":`,
		`"deep":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`,"memo":`)
	l.swap("F74", "objects without an end", order.CodeTooDeep, `"memo":`,
		strings.Repeat(`"deep":{`, 5_000)+`"memo":`)
	l.add("F74", "trailing JSON", order.CodeTrailing, func(o order.Order) []byte {
		return append(Body(o), Body(o)...)
	})
	l.add("F74", "a body cut short", order.CodeBadJSON, func(o order.Order) []byte {
		return Body(o)[:len(Body(o))-1]
	})
}

func (l *hostileList) fields() {
	l.swap("F75", "a repeated field", order.CodeDuplicate, `"memo":`, `"amount":1,"memo":`)
	l.swap("F75", "a repeated field, escaped", order.CodeDuplicate, `"memo":`,
		`"\u0061mount":1,"memo":`)
	l.swap("F75", "a repeated unknown field", order.CodeDuplicate, `"memo":`, `"MEMO":1,"memo":`)
	l.swap("F75", "AMOUNT", order.CodeCase, `"amount":`, `"AMOUNT":`)
	l.swap("F75", "AMOUNT beside amount", order.CodeCase, `"memo":`, `"AMOUNT":1,"memo":`)
	for _, field := range []string{
		"version", "order_id", "serial_no", "payer", "payee", "amount", "currency",
	} {
		name := `"` + field + `":`
		l.swap("F75", "null in "+field, order.CodeNull, name, name+`null,"was":`)
		l.swap("F75", "no "+field, order.CodeMissing, name, `"was":`)
	}
	l.swap("F75", "another version", order.CodeVersion, `"version":1`, `"version":2`)
}

func (l *hostileList) amounts() {
	each := func(reason order.Code, literals ...string) {
		for _, literal := range literals {
			l.swap("F76", "amount "+literal, reason, `"amount":`, `"amount":`+literal+`,"was":`)
		}
	}
	each(order.CodeAmount, "-1", "0", "-0", "1e3", "1.0", "0.01")
	each(order.CodeAmountLimit, "1000000000001",
		"9223372036854775807", "9223372036854775808", "18446744073709551617")
	each(order.CodeBadJSON, "NaN", "01", "+1")
	each(order.CodeType, `"1"`, "[1]", "true")
}

func (l *hostileList) values() {
	for _, currency := range []string{"", "ZZZ", "cny", "CNY ", "XXX", "\u0421NY"} {
		l.swap("F77", fmt.Sprintf("currency %q", currency), order.CodeCurrency,
			`"CNY"`, `"`+currency+`"`)
	}
	for _, serial := range []string{
		"", " ", strings.Repeat("s", 65), "PAY 1", "PAY-1 ", " PAY-1", "\u0420AY-1", "PAY\u200b-1",
		"PAY-\uff11", "-PAY",
	} {
		l.swap("F78", fmt.Sprintf("serial number %.20q", serial), order.CodeID,
			`"serial_no":"`, `"serial_no":"`+serial+`","was":"`)
	}
}

func (l *hostileList) statements() {
	const statement = `x'; DROP TABLE payments; -- `
	for _, field := range []string{"order_id", "serial_no", "payer", "payee"} {
		name := `"` + field + `":"`
		l.swap("F79", "SQL in "+field, order.CodeID, name, name+statement)
		l.swap("F79", "quotes in "+field, order.CodeID, name, name+`\\\"' OR 1=1 #`)
	}
	l.swap("F79", "SQL in currency", order.CodeCurrency, `"CNY"`, `"`+statement+`"`)
	l.swap("F79", "SQL in amount", order.CodeType, `"amount":`, `"amount":"`+statement+`","was":`)
	l.swap("F79", "SQL in version", order.CodeType, `"version":1`, `"version":"`+statement+`"`)
	l.key("F79", `%s';DROP/**/TABLE/**/payments;--`)
	l.key("F79", `%s\'`)
}

func (l *hostileList) keys() {
	for _, pattern := range []string{
		"", "{tag}%s", "*%s", "%s*", "*", "%s%", "../%s", `%s"`, "%s-2", "\u041e%s", "%s||%s",
	} {
		l.key("F80", pattern)
	}
}

// Forged is the message of the log lines that senders try to forge.
const Forged = "a-line-that-a-sender-wrote"

// ForgedLine would pass for a line of the log, if it came to stand on its own.
const ForgedLine = "\r\n" + `{"level":"error","msg":"` + Forged + `"}` + "\r\n"

func (l *hostileList) lines() {
	for _, field := range []string{"order_id", "serial_no", "payer", "payee"} {
		name := `"` + field + `":"`
		l.swap("F81", "a forged line in "+field, order.CodeID, name,
			name+`x\r\n{\"level\":\"error\",\"msg\":\"`+Forged+`\"}\r\n`)
	}
	l.swap("F81", "a forged line as a field", order.CodeBadJSON,
		`"memo":"`, `"memo":"`+ForgedLine)
}

// HostileKeys are keys for an order of case F80 that a client library does not send.
func HostileKeys(o order.Order) []string {
	id := string(o.ID)
	return []string{
		id + "\r\n", id + " " + id, " " + id, id + "\t", id + "\x00", "\x1b[2J" + id,
		id + ForgedLine, id + "\r\nFLUSHALL\r\n", id + strings.Repeat("k", 1000),
	}
}
