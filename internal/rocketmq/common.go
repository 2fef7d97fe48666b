package rocketmq

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"

	"example.com/payment/internal/idem"
)

// unavailableError is idem.ErrUnavailable with a text of its own.
type unavailableError struct {
	err error
}

func (e *unavailableError) Error() string { return e.err.Error() }

func (e *unavailableError) Unwrap() []error { return []error{idem.ErrUnavailable, e.err} }

// unavailable makes an error that wraps idem.ErrUnavailable, and whatever the format wraps.
func unavailable(format string, args ...any) error {
	return &unavailableError{err: fmt.Errorf(format, args...)}
}

var groupName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,120}$`)

func checkGroup(group string) error {
	if !groupName.MatchString(group) {
		return fmt.Errorf("rocketmq: group %q: want 1 to 120 letters, digits, '_', '-'", bounded(group))
	}
	return nil
}

// within checks one number of a configuration.
func within[T cmp.Ordered](name string, value, low, high T) error {
	if value < low || value > high {
		return fmt.Errorf("rocketmq: %s: %v is not from %v to %v", name, value, low, high)
	}
	return nil
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func clientCredentials(c credentials) primitive.Credentials {
	return primitive.Credentials{AccessKey: c.accessKey, SecretKey: c.secretKey}
}

// sleep waits, and no longer than the context lasts.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

var topicName = regexp.MustCompile(`^[%A-Za-z0-9_-]{1,127}$`)

func checkTopic(topic string) error {
	if !topicName.MatchString(topic) {
		return fmt.Errorf("rocketmq: topic %q: want 1 to 127 letters, digits, '_', '-', '%%'",
			bounded(topic))
	}
	return nil
}
