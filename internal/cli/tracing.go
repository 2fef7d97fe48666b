package cli

import (
	"context"

	"go.uber.org/zap"

	"example.com/payment/internal/config"
	"example.com/payment/internal/tracing"
)

// Tracer makes the tracer of a program, or none when tracing is off. What goes wrong with sending
// spans is logged and changes nothing else.
func Tracer(
	ctx context.Context, c config.Tracing, service, instance string, log *zap.Logger,
) (*tracing.Tracer, error) {
	tracer, err := tracing.New(ctx, tracing.Config{
		Endpoint: c.Endpoint, Percent: c.Percent,
		Service: service, Version: Version().Version, Instance: instance,
		OnError: func(err error) { log.Warn("spans were not sent", zap.Error(err)) },
	})
	if err != nil {
		return nil, Usage(err)
	}
	return tracer, nil
}
