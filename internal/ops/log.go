package ops

import (
	"fmt"
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// NewLogger makes the program's logger. The level is debug, info, warn or error, the format json
// or console. Programs pass os.Stderr: standard output belongs to what was asked for. Errors
// come without stack traces, since their text says what failed and where; panics have theirs.
func NewLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: give debug, info, warn or error", level)
	}
	style := zap.NewProductionEncoderConfig()
	style.TimeKey = "time"
	style.EncodeTime = zapcore.ISO8601TimeEncoder
	style.EncodeDuration = zapcore.StringDurationEncoder
	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(style)
	case "console":
		encoder = zapcore.NewConsoleEncoder(style)
	default:
		return nil, fmt.Errorf("log format %q: give json or console", format)
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	return zap.New(zapcore.NewCore(encoder, out, at),
		zap.AddStacktrace(zapcore.DPanicLevel), zap.ErrorOutput(out)), nil
}
