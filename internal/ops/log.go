package ops

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// sampledOne of so many lines is logged of those beyond a burst.
const sampledOne = 100

// Logging says what is logged, and how.
type Logging struct {
	// Level is debug, info, warn or error; Format is json or console.
	Level, Format string
	// Burst is how many lines of one level and text are logged in a second, below the level warn;
	// of those beyond, one in a hundred is. Zero logs everything.
	Burst int
}

// NewLogger makes the program's logger, and the level that it obeys, which may be changed while
// it is in use. Programs pass os.Stderr: standard output belongs to what was asked for. Errors
// come without stack traces, since their text says what failed and where; panics have theirs.
func NewLogger(w io.Writer, cfg Logging) (*zap.Logger, zap.AtomicLevel, error) {
	at, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		return nil, at, fmt.Errorf("log level %q: give debug, info, warn or error", cfg.Level)
	}
	encoder, err := newEncoder(cfg.Format)
	if err != nil {
		return nil, at, err
	}
	out := zapcore.Lock(zapcore.AddSync(w))
	core := zapcore.NewCore(encoder, out, at)
	if cfg.Burst > 0 {
		core = zapcore.NewTee(
			between{zapcore.NewSamplerWithOptions(core, time.Second, cfg.Burst, sampledOne),
				zapcore.DebugLevel, zapcore.InfoLevel},
			between{core, zapcore.WarnLevel, zapcore.FatalLevel})
	}
	return zap.New(core, zap.AddStacktrace(zapcore.DPanicLevel), zap.ErrorOutput(out)), at, nil
}

// between is a core for some levels only.
type between struct {
	zapcore.Core
	from, to zapcore.Level
}

// Enabled says whether a level is one of the core's.
func (b between) Enabled(level zapcore.Level) bool {
	return level >= b.from && level <= b.to && b.Core.Enabled(level)
}

// With adds fields.
func (b between) With(fields []zapcore.Field) zapcore.Core {
	b.Core = b.Core.With(fields)
	return b
}

// Check takes an entry of one of the core's levels.
func (b between) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(entry.Level) {
		return checked
	}
	return b.Core.Check(entry, checked)
}

func newEncoder(format string) (zapcore.Encoder, error) {
	style := zap.NewProductionEncoderConfig()
	style.TimeKey = "time"
	style.EncodeTime = zapcore.ISO8601TimeEncoder
	style.EncodeDuration = zapcore.StringDurationEncoder
	switch format {
	case "json":
		return zapcore.NewJSONEncoder(style), nil
	case "console":
		return zapcore.NewConsoleEncoder(style), nil
	default:
		return nil, fmt.Errorf("log format %q: give json or console", format)
	}
}
