package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrGivenUp is wrapped by the error of a call that was not made, because the calls before it
// failed. It is not worth a log line: the breaker has said so once.
var ErrGivenUp = errors.New("redis: given up for a moment")

// errGaveUp marks a call that its caller ended.
var errGaveUp = errors.New("redis: the caller gave up")

// failure is an error of Redis or of the way to it, in words that are safe to log. The original
// is not kept: a reply to an unknown command quotes its arguments, and a reply that the client
// cannot parse is quoted as well, and either may be a value.
type failure struct {
	text  string
	cause error // a sentinel without data, or nil
}

func (f *failure) Error() string  { return f.text }
func (f *failure) String() string { return f.text }
func (f *failure) Unwrap() error  { return f.cause }

// describe puts an error of the client into words.
func describe(err error) *failure {
	var refused redis.Error
	var network *net.OpError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &refused):
		return describeReply(refused)
	case errors.As(err, &unverified):
		return &failure{text: "the server's certificate does not verify: " + unverified.Err.Error()}
	case errors.Is(err, context.Canceled):
		return &failure{text: "canceled", cause: context.Canceled}
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return &failure{text: "no answer in time", cause: context.DeadlineExceeded}
	case errors.Is(err, redis.ErrClosed):
		return &failure{text: "the cache is closed", cause: redis.ErrClosed}
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return &failure{text: "all connections are busy"}
	case errors.As(err, &network):
		return &failure{text: "cannot " + network.Op + ": " + network.Err.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &failure{text: "the connection was closed"}
	default:
		return &failure{text: "the answer is not one that Redis gives"}
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// remedy says of a refusal what an operator can do about it.
func remedy(code string) string {
	switch code {
	case "NOAUTH":
		return "a password is required: set PAYMENT_REDIS_PASSWORD"
	case "WRONGPASS":
		return "the password is wrong: check PAYMENT_REDIS_PASSWORD"
	case "NOPERM":
		return "the user lacks a right: it needs GETRANGE, SET, SCAN, PTTL and PING"
	case "READONLY":
		return "this server is a read-only replica"
	case "LOADING":
		return "the server is still loading its data"
	case "OOM":
		return "maxmemory is reached and the policy evicts nothing"
	case "MISCONF":
		return "the server cannot save its data and refuses writes"
	case "MOVED", "CLUSTERDOWN":
		return "the server is part of a cluster, which this client does not follow"
	default:
		return "refused"
	}
}

// describeReply keeps the code of an error reply, its first word, and drops the rest.
func describeReply(err redis.Error) *failure {
	code, _, _ := strings.Cut(err.Error(), " ")
	if !isCode(code) {
		return &failure{text: "refused"}
	}
	return &failure{text: remedy(code) + " (" + code + ")"}
}

func isCode(s string) bool {
	if s == "" || len(s) > 16 {
		return false
	}
	for _, r := range s {
		if r < 'A' || r > 'Z' {
			return false
		}
	}
	return true
}

func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }
