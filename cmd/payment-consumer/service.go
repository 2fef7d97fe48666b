package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/ops"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/tracing"
)

// service is everything between the broker and the database, wired by hand.
type service struct {
	instance string
	log      *zap.Logger
	metrics  *ops.Metrics
	tracer   *tracing.Tracer // nil when tracing is off

	db       *mysql.DB
	cache    *answers
	results  *rocketmq.Results
	guard    *idem.Guard[order.Order, payment.Answer]
	database *idem.Hold
	topic    *idem.Hold

	orders      *rocketmq.Consumer
	deadLetters *rocketmq.Consumer

	openMessages openMessages

	// closers end what is open, in the order in which it was opened.
	closers []func() error
}

func newService(
	ctx context.Context, cfg config.Consumer, db *mysql.DB, metrics *ops.Metrics, log *zap.Logger,
) (_ *service, err error) {
	s := &service{instance: rocketmq.UniqueInstance(), log: log, metrics: metrics, db: db}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.tracer, err = cli.Tracer(ctx, cfg.Tracing, cfg.RocketMQ.Group, s.instance, log)
	if err != nil {
		return nil, err
	}
	s.opened(func() error { return s.tracer.Close(context.Background()) })
	if s.cache, err = openCache(cfg, db, s.cacheHooks(), log); err != nil {
		return nil, err
	}
	s.opened(s.cache.Close)
	s.results, err = rocketmq.NewResults(rocketmq.ResultsConfig{
		Producer: producerConfig(cfg, s.instance+"-results"),
		Topic:    cfg.RocketMQ.ResultTopic,
		OnSent:   s.sent,
	}, log)
	if err != nil {
		return nil, err
	}
	s.opened(s.results.Close)
	store := mysql.NewStore(db, cfg.Payment.BalanceLimitMinor)
	s.guard = idem.New(tracedStore{store}, tracedCache{s.cache}, idem.Options{
		BatchMax: cfg.Guard.BatchMax, Committers: cfg.Guard.Committers,
		Waiting: cfg.Guard.Waiting, Observe: metrics.Batch, Begin: s.beginBatch(),
	})
	s.opened(func() error { s.guard.Close(); return nil })
	s.database = s.hold(cfg, "database")
	s.topic = s.hold(cfg, "result topic")
	if err := s.consumers(cfg); err != nil {
		return nil, err
	}
	metrics.Watch(s.sources())
	return s, nil
}

// consumers makes the two readers of one service: orders, and the dead letters of their group.
func (s *service) consumers(cfg config.Consumer) (err error) {
	limits := order.DefaultLimits()
	limits.MaxMinor = cfg.Payment.MaxAmountMinor
	handler := payment.NewService(s.guard, mysql.NewQuarantine(s.db), s.results, s.database,
		s.topic, payment.Options{
			Instance:     s.instance,
			Limits:       limits,
			Redeliveries: cfg.RocketMQ.MaxRedeliveries,
			Observe:      s.observe,
		})
	base := rocketmq.ConsumerConfig{
		NameServers:    cfg.RocketMQ.NameServers,
		AccessKey:      cfg.RocketMQ.AccessKey,
		SecretKey:      cfg.RocketMQ.SecretKey.Reveal(),
		HandlerTimeout: cfg.Hold.Limit,
		ConsumeTimeout: cfg.RocketMQ.ConsumeTimeout,
		StartAttempts:  cfg.RocketMQ.StartAttempts,
		DrainTimeout:   cfg.Shutdown.Grace * 2 / 3,
		Hooks:          rocketmq.Hooks{OnPanic: s.metrics.Panic, OnJump: s.jumped},
		Tracer:         s.tracer,
	}
	orders := base
	orders.Group, orders.Topic, orders.Tag = cfg.RocketMQ.Group, cfg.RocketMQ.Topic, cfg.RocketMQ.Tag
	orders.Instance = s.instance + "-orders"
	orders.Concurrency = cfg.RocketMQ.Concurrency
	orders.MaxRedeliveries = cfg.RocketMQ.MaxRedeliveries
	orders.WriteTopics = []string{cfg.RocketMQ.ResultTopic}
	if s.orders, err = rocketmq.NewConsumer(orders, handler.Handle, s.log); err != nil {
		return err
	}

	dead := base
	dead.Group = cfg.RocketMQ.Group + "-dlq"
	dead.Topic, dead.Tag = rocketmq.DeadLetterTopic(cfg.RocketMQ.Group), rocketmq.AnyTag
	dead.OriginTopics = []string{cfg.RocketMQ.Topic}
	dead.Instance = s.instance + "-dead-letters"
	dead.Concurrency = 16
	// A dead letter has nowhere to fall: it comes again until it is decided or in quarantine.
	dead.MaxRedeliveries = rocketmq.Unlimited
	s.deadLetters, err = rocketmq.NewConsumer(dead, handler.HandleDeadLetter, s.log)
	return err
}

func (s *service) start(ctx context.Context) error {
	err := rocketmq.StartTogether(ctx, s.orders, s.deadLetters)
	if err != nil {
		err = errors.Join(err, s.drain(10*time.Second))
	}
	return err
}

// drain lets both readers finish what they have begun, at the same time.
func (s *service) drain(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var group sync.WaitGroup
	var ordersErr, deadErr error
	group.Go(func() { ordersErr = s.orders.Drain(ctx) })
	group.Go(func() { deadErr = s.deadLetters.Drain(ctx) })
	group.Wait()
	return errors.Join(ordersErr, deadErr)
}

// opened remembers how to end what has been opened.
func (s *service) opened(end func() error) { s.closers = append(s.closers, end) }

// close ends what the consumers used, after they have stopped, or what there is of it when the
// service did not come about.
func (s *service) close() (err error) {
	for _, end := range slices.Backward(s.closers) {
		err = errors.Join(err, end())
	}
	return err
}

// readiness is what a consumer needs in order to be ready. Everything counts as down until it is
// seen up, so it is named before anything is waited for.
type readiness struct {
	database, resultTopic, orders, cache *ops.Dependency
}

func newReadiness(health *ops.Health) readiness {
	return readiness{
		database:    health.Require("database"),
		resultTopic: health.Require("result_topic"),
		orders:      health.Require("orders"),
		cache:       health.Optional("cache"),
	}
}

// watch keeps readiness and the ledger epoch up to date until the returned function is called.
func (s *service) watch(on readiness) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { s.db.WatchEpoch(ctx) })
	group.Go(func() { s.openMessages.watch(ctx, mysql.NewQuarantine(s.db)) })
	check := func(d *ops.Dependency, fn func(context.Context) error) {
		group.Go(func() { d.Watch(ctx, time.Second, 2*time.Second, fn) })
	}
	check(on.database, func(ctx context.Context) error {
		if s.database.Holding() {
			return errors.New("messages are held until it comes back")
		}
		return s.db.Usable(ctx)
	})
	check(on.resultTopic, func(context.Context) error {
		switch {
		case !s.orders.Started(): // whose start has looked for it
			return errors.New("not looked for yet")
		case s.topic.Holding():
			return errors.New("messages are held until it takes results again")
		}
		return nil
	})
	check(on.orders, s.reads(on.orders))
	check(on.cache, s.cache.Ping)
	return func() { cancel(); group.Wait() }
}

// sharing is how long a new member of the group may be without queues before it counts as one too
// many, which is ready and idle. Members look again every 20 s at who reads what.
const sharing = 30 * time.Second

// reads checks whether orders are read, or would be if there were queues enough.
func (s *service) reads(orders *ops.Dependency) func(context.Context) error {
	var began time.Time
	settled := false
	return func(context.Context) error {
		if !s.orders.Started() || !s.deadLetters.Started() {
			return errors.New("not consuming")
		}
		if s.orders.Jumped() || s.deadLetters.Jumped() {
			return errors.New("the broker deleted messages that were not consumed; see docs/runbooks.md")
		}
		if began.IsZero() {
			began = time.Now()
		}
		queues := s.orders.Assigned()
		orders.Note(fmt.Sprintf("reads %d queues", queues))
		settled = settled || queues > 0 || time.Since(began) > sharing
		if !settled {
			return errors.New("no queue to read yet")
		}
		return nil
	}
}

func (s *service) hold(cfg config.Consumer, name string) *idem.Hold {
	return idem.NewHold(idem.HoldOptions{
		MinBackoff: cfg.Hold.ProbeMin,
		MaxBackoff: cfg.Hold.ProbeMax,
		OnChange: func(cause error) {
			if cause != nil {
				s.log.Warn("holding all messages until it comes back",
					zap.String("dependency", name), zap.Error(cause))
				return
			}
			s.log.Info("back; messages go on", zap.String("dependency", name))
		},
	})
}

func producerConfig(cfg config.Consumer, instance string) rocketmq.ProducerConfig {
	return cli.Producer(cfg.RocketMQ.Broker, cfg.RocketMQ.Sending,
		cfg.RocketMQ.Group+"-sender", instance)
}
