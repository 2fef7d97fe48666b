package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/ops"
	"example.com/payment/internal/redis"
	"example.com/payment/internal/rocketmq"
)

// run consumes until the context ends, which a signal does.
func (a *app) run(cmd *cobra.Command, _ []string) error {
	cfg, err := a.load(cmd, config.NeedMySQL, config.NeedCache)
	if err != nil {
		return err
	}
	log, level, err := ops.NewLogger(a.Stderr, ops.Logging(cfg.Log))
	if err != nil {
		return cli.Usage(err)
	}
	rocketmq.QuietClientLogs(log)
	redis.QuietClientLogs(log)
	tuneCollector()
	return consume(cmd.Context(), cfg, log, level)
}

// consume runs the whole service: it starts what the consumers need, starts the consumers, waits
// for ctx to end, and stops everything in the opposite order. What is under way is finished and
// acknowledged within the grace period; what is not comes again.
func consume(
	ctx context.Context, cfg config.Consumer, log *zap.Logger, level zap.AtomicLevel,
) (err error) {
	defer endWithin(ctx, cfg.Shutdown.Grace, log)()
	build := ops.Build(cli.Version())
	log.Info("starting", zap.String("version", build.Version),
		zap.String("revision", build.Revision), zap.Int("pid", os.Getpid()))
	metrics := ops.NewMetrics(build)
	health := ops.NewHealth(time.Now, func(dependency string, problem error) {
		metrics.Ready(dependency, problem == nil)
		switch {
		case errors.Is(problem, ops.ErrNotSeen):
		case problem != nil:
			log.Warn("dependency is down", zap.String("name", dependency), zap.Error(problem))
		default:
			log.Info("dependency is up", zap.String("name", dependency))
		}
	})
	needs := newReadiness(health)
	server := ops.NewServer(cfg.Ops.Address, health, metrics, log)
	server.ServeLevel(level)
	if err := server.Start(ctx); err != nil {
		return endedEarly(ctx, err)
	}
	defer func() { err = errors.Join(err, shutdown(server)) }()
	log.Info("serving health and metrics", zap.String("ops", server.Address()))

	database, err := databaseConfig(cfg)
	if err != nil {
		return err
	}
	database.OnRetry = metrics.TransactionRetried
	db, err := mysql.Open(database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := waitForDatabase(ctx, cfg, db, log); err != nil {
		return endedEarly(ctx, err)
	}
	s, err := newService(ctx, cfg, db, metrics, log)
	if err != nil {
		return endedEarly(ctx, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	stopWatching := s.watch(needs)
	defer stopWatching()

	if err := s.start(ctx); err != nil {
		return endedEarly(ctx, err)
	}
	log.Info("consuming", zap.String("topic", cfg.RocketMQ.Topic),
		zap.String("group", cfg.RocketMQ.Group), zap.String("instance", s.instance))
	<-ctx.Done()
	log.Info("stopping: no new messages; finishing what is under way")
	health.Drain()
	return s.drain(cfg.Shutdown.Grace * 5 / 6)
}

// endWithin ends the process when its end, once ctx has asked for it, takes longer than the
// limit: a server that answers nothing must not keep it. That is as safe as any crash. The
// returned function is for the end that came in time.
func endWithin(ctx context.Context, limit time.Duration, log *zap.Logger) (ended func()) {
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		select {
		case <-done:
		case <-time.After(limit):
			log.Error("not ended within the grace period: ending now; what is under way comes again",
				zap.Duration("grace", limit))
			os.Exit(cli.ExitFailed)
		}
	}()
	return func() { close(done) }
}

// endedEarly makes a signal during the start the orderly end that was asked for.
func endedEarly(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// waitForDatabase checks the database, and waits a bounded while for one that is not up yet.
// What waiting cannot mend, such as a wrong password, ends the start at once.
func waitForDatabase(
	ctx context.Context, cfg config.Consumer, db *mysql.DB, log *zap.Logger,
) error {
	backoff := idem.Backoff{Min: 500 * time.Millisecond, Max: 5 * time.Second}
	for attempt := 1; ; attempt++ {
		err := db.Check(ctx, cfg.MySQL.AllowUnsafe)
		if err == nil {
			return db.RefreshEpoch(ctx)
		}
		if !errors.Is(err, idem.ErrUnavailable) || errors.Is(err, mysql.ErrRefused) {
			return err
		}
		if attempt >= cfg.RocketMQ.StartAttempts {
			return fmt.Errorf("gave up after %d attempts: %w (%s)", attempt, err, databaseHint)
		}
		log.Warn("database is not there yet", zap.Int("attempt", attempt), zap.Error(err))
		if !backoff.Wait(ctx, attempt) {
			return ctx.Err()
		}
	}
}

func shutdown(server *ops.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
