package rocketmq

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// Limits of what travels beside a body. The protocol counts the properties in 15 bits.
const (
	maxKeyBytes        = 255
	maxTagBytes        = 127
	maxPropertiesBytes = 16 << 10
)

var propertyName = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,63}$`)

// validate refuses what the client would mangle on the way: it joins keys with spaces and
// separates properties with bytes 1 and 2, and checks nothing.
func (p *Producer) validate(out Outgoing) error {
	switch {
	case out.Topic == "":
		return fmt.Errorf("%w: no topic", ErrInvalid)
	case !plainWord(out.Key, maxKeyBytes):
		return fmt.Errorf("%w: key: want at most %d bytes without spaces and control characters",
			ErrInvalid, maxKeyBytes)
	case !plainWord(out.Tag, maxTagBytes) || strings.Contains(out.Tag, "|") || out.Tag == "*":
		return fmt.Errorf("%w: tag: want at most %d bytes without spaces, '|' and '*'",
			ErrInvalid, maxTagBytes)
	case !plainWord(out.ID, maxKeyBytes):
		return fmt.Errorf("%w: unique ID: want at most %d bytes without spaces", ErrInvalid, maxKeyBytes)
	case len(out.Body) == 0:
		return fmt.Errorf("%w: no body, which brokers refuse", ErrInvalid)
	case len(out.Body) > p.config.MaxBodyBytes:
		return fmt.Errorf("%w: body of %d bytes is over the limit of %d",
			ErrInvalid, len(out.Body), p.config.MaxBodyBytes)
	}
	return validateProperties(out.Properties)
}

func validateProperties(properties map[string]string) error {
	total := 0
	for name, value := range properties {
		// The protocol's own names are upper case or begin with '_'.
		if !propertyName.MatchString(name) {
			return fmt.Errorf("%w: property name %q", ErrInvalid, bounded(name))
		}
		if value == "" || strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf("%w: property %s: empty or with control characters", ErrInvalid, name)
		}
		total += len(name) + len(value) + 2
	}
	if total > maxPropertiesBytes {
		return fmt.Errorf("%w: properties of %d bytes are over the limit of %d",
			ErrInvalid, total, maxPropertiesBytes)
	}
	return nil
}

func plainWord(s string, limit int) bool {
	bad := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, bad)
}

// clientMessage makes the client's message. The ID is set here, as the client gives messages of
// a batch none.
func clientMessage(out Outgoing) *primitive.Message {
	m := primitive.NewMessage(out.Topic, out.Body)
	for name, value := range out.Properties {
		m.WithProperty(name, value)
	}
	m.WithProperty(primitive.PropertyUniqueClientMessageIdKeyIndex, out.ID)
	m.WithTag(out.Tag)
	m.WithKeys([]string{out.Key})
	return m
}
