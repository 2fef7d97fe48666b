package main

import (
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/ops"
)

// TestNewService_ClosesWhatItOpened: a service that does not come about leaves nothing running.
func TestNewService_ClosesWhatItOpened(t *testing.T) {
	for name, change := range map[string]func(*config.Consumer){
		"CacheKeys":   func(c *config.Consumer) { c.Cache.Keys = config.NewSecret("none") },
		"ResultTopic": func(c *config.Consumer) { c.RocketMQ.ResultTopic = "" },
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			cfg, err := config.LoadConsumer(config.Input{Environ: []string{
				"PAYMENT_CACHE_KEYS=k1:" + strings.Repeat("5a", 32),
				"PAYMENT_TRACING_ENDPOINT=http://127.0.0.1:1",
			}})
			if err != nil {
				t.Fatal(err)
			}
			change(&cfg)
			db, err := mysql.Open(mysql.Config{Address: "127.0.0.1:1", Database: "d", User: "u"})
			if err != nil {
				t.Fatal(err)
			}
			s, err := newService(t.Context(), cfg, db, ops.NewMetrics(ops.Build{}), zap.NewNop())
			if s != nil || err == nil {
				t.Errorf("newService: %v, %v; want an error", s, err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			goleak.VerifyNone(t, before)
		})
	}
}

// TestConsume_EndedEarly: who is asked to end before it has begun ends in order.
func TestConsume_EndedEarly(t *testing.T) {
	before := goleak.IgnoreCurrent()
	cfg, err := config.LoadConsumer(config.Input{Environ: []string{
		"PAYMENT_CACHE_KEYS=k1:" + strings.Repeat("5a", 32), "PAYMENT_OPS_ADDRESS=localhost:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := consume(ctx, cfg, zap.NewNop(), zap.NewAtomicLevel()); err != nil {
		t.Errorf("got %v", err)
	}
	goleak.VerifyNone(t, before)
}
