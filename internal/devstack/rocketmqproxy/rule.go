package rocketmqproxy

import (
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/remoting"
)

// Codes of the requests that rules are for, beside the sends.
const (
	updateOffset = 15
	sendBack     = 36
)

// Codes of refusals, as a broker gives them.
const (
	NotAvailable = 14 // it is starting, stopping or full
	NoPermission = 16 // the broker or the topic is read-only
)

// Match says which requests a rule is for.
type Match struct {
	send        bool
	code        int
	field, name string
}

// Sends are the messages for a topic, or for any if it is empty. "%RETRY%" with a group's name is
// where its consumers send a message that the broker did not take back.
func Sends(topic string) Match { return Match{send: true, name: topic} }

// Acknowledgements are the consumers' reports of how far they have come in a topic, or in any if
// it is empty. Clients make them every few seconds and do not wait for an answer.
func Acknowledgements(topic string) Match {
	return Match{code: updateOffset, field: "topic", name: topic}
}

// SendBacks are the messages that consumers of a group, or of any if it is empty, give back to be
// delivered later.
func SendBacks(group string) Match { return Match{code: sendBack, field: "group", name: group} }

func (m Match) fits(h remoting.Header) bool {
	if m.send {
		return h.IsSend() && (m.name == "" || m.name == h.Topic())
	}
	return h.Code == m.code && (m.name == "" || m.name == h.Fields[m.field])
}

// Fate is what becomes of a request on its way.
type Fate struct {
	kind kind
	code int
}

type kind int

const (
	pass kind = iota
	cut
	drop
	refuse
	loseAnswer
)

// Pass lets the request through: the rule only counts.
func Pass() Fate { return Fate{} }

// Cut breaks the client's connection before the request reaches the broker.
func Cut() Fate { return Fate{kind: cut} }

// Drop loses the request; the connection stays.
func Drop() Fate { return Fate{kind: drop} }

// Refuse answers with a code, such as NoPermission; the broker never sees the request. One that
// expects no answer is lost.
func Refuse(code int) Fate { return Fate{kind: refuse, code: code} }

// LoseAnswer lets the broker carry the request out and loses its answer. It has fired when the
// answer has come.
func LoseAnswer() Fate { return Fate{kind: loseAnswer} }

// Rule is one fault.
type Rule struct {
	*rule.Rule
	match Match
	fate  Fate
}
