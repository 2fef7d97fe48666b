package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/config"
	"example.com/payment/internal/ops"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq"
)

// Drop is the consumer that does nothing: it acknowledges every order until ctx ends, and shows
// how fast messages can come. It reads the settings of payment-consumer, and serves its count
// where that serves its metrics, under the same name.
func Drop(ctx context.Context, environ []string, out io.Writer) error {
	cfg, err := config.LoadConsumer(config.Input{Environ: environ})
	if err != nil {
		return err
	}
	log, _, err := ops.NewLogger(out, ops.Logging(cfg.Log))
	if err != nil {
		return err
	}
	rocketmq.QuietClientLogs(log)
	var dropped atomic.Int64
	orders, err := rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: cfg.RocketMQ.NameServers, Group: cfg.RocketMQ.Group,
		Topic: cfg.RocketMQ.Topic, Tag: cfg.RocketMQ.Tag, Concurrency: cfg.RocketMQ.Concurrency,
	}, func(context.Context, payment.Message) payment.Disposition {
		dropped.Add(1)
		return payment.Acknowledge
	}, log)
	if err != nil {
		return err
	}
	stop, err := serveCount(ctx, cfg.Ops.Address, &dropped, log)
	if err != nil {
		return err
	}
	defer stop()
	if err := orders.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return orders.Drain(end)
}

// serveCount answers every request with the count, as a line of metrics.
func serveCount(
	ctx context.Context, address string, count *atomic.Int64, log *zap.Logger,
) (stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "%s{outcome=\"dropped\"} %d\n", decisionsMetric, count.Load())
		}),
	}
	go func() { _ = server.Serve(listener) }() // ends with Close
	log.Info("serving the count", zap.String("ops", listener.Addr().String()))
	return func() { _ = server.Close() }, nil
}
