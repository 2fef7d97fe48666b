package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// QuietClientLogs sends what go-redis says to log, at debug level, instead of to standard error.
// The client has one logger for the whole process, so a main function calls this once, before
// the first New. Only the constant text of a line is kept: its arguments may quote values, and
// every error among them reaches the caller of the failed call anyway.
func QuietClientLogs(log *zap.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *zap.Logger }

// Printf implements the client's logger.
func (l clientLog) Printf(_ context.Context, format string, _ ...any) {
	l.log.Debug("redis client", zap.String("line", format))
}
