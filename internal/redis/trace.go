package redis

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"example.com/payment/internal/tracing"
)

// tracer makes a span of each round trip whose context has one. It names commands and counts them,
// and never shows a key or a value.
type tracer struct{}

var _ redis.Hook = tracer{}

// DialHook makes a span of each new connection.
func (tracer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, span := tracing.Child(ctx, "connect", tracing.Client, func() tracing.Attributes {
			return tracing.Attributes{"db.system.name": "redis", "server.address": addr}
		})
		conn, err := next(ctx, network, addr)
		span.End(errorType(err))
		return conn, err
	}
}

// ProcessHook makes a span of a single command.
func (tracer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, span := roundTrip(ctx, []redis.Cmder{cmd})
		err := next(ctx, cmd)
		span.End(errorType(err))
		return err
	}
}

// ProcessPipelineHook makes a span of a pipeline.
func (tracer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, span := roundTrip(ctx, cmds)
		err := next(ctx, cmds)
		span.End(errorType(err))
		return err
	}
}

func roundTrip(ctx context.Context, cmds []redis.Cmder) (context.Context, *tracing.Span) {
	if len(cmds) == 0 {
		return ctx, nil
	}
	operation := strings.ToUpper(cmds[0].Name())
	return tracing.Child(ctx, operation, tracing.Client, func() tracing.Attributes {
		return tracing.Attributes{
			"db.system.name": "redis", "db.operation.name": operation,
			"db.operation.batch.size": len(cmds),
		}
	})
}

// errorType says in a word what went wrong. A key that is not there is no error.
func errorType(err error) string {
	switch {
	case err == nil || errors.Is(err, redis.Nil) || isWrongType(err):
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "other"
	}
}
