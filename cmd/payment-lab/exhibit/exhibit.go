// Package exhibit is a payment consumer with an order of writes out of a textbook, and else as
// little as it takes to be one: no group commit, no drainer of dead letters, no check of the
// database. It is told where its servers are by the same variables as payment-consumer.
package exhibit

import (
	"context"
	"errors"
	"io"
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
	"example.com/payment/internal/redis"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/textbook"
)

// What tutorials set, or leave as it is.
const (
	goroutines  = 20
	connections = 64
)

// grace is how long what is under way may take to end.
const grace = 20 * time.Second

// Options say how an exhibit consumes.
type Options struct {
	Order textbook.Order
	// Bench makes it as light as tutorials do, to be measured: it sends no results, and takes the
	// settings of gorm and of the driver as they come. Without it statements go out as text,
	// for a proxy to read.
	Bench bool
	// Committed, if set, is told of each payment when it is committed.
	Committed func(order.Serial)
}

// exhibit is one consumer.
type exhibit struct {
	opts    Options
	cfg     config.Consumer
	metrics *ops.Metrics
	log     *zap.Logger
	db      *mysql.DB // of the quarantine and the ledger epoch
	ledger  *textbook.Ledger
	cache   *redis.Cache[payment.Answer]
	results payment.Results
	sender  *rocketmq.Results // nil when no results are sent
	orders  *rocketmq.Consumer
}

// Run consumes until ctx ends.
func Run(ctx context.Context, opts Options, environ []string, out io.Writer) (err error) {
	if _, err := textbook.New(opts.Order, nil, nil); err != nil {
		return err // a mistake in the name, told before anything that is missing
	}
	cfg, err := config.LoadConsumer(config.Input{Environ: environ}, config.NeedMySQL,
		config.NeedCache)
	if err != nil {
		return err
	}
	log, _, err := ops.NewLogger(out, ops.Logging(cfg.Log))
	if err != nil {
		return err
	}
	rocketmq.QuietClientLogs(log)
	redis.QuietClientLogs(log)
	e := &exhibit{
		opts: opts, cfg: cfg, log: log, metrics: ops.NewMetrics(ops.Build{Version: "exhibit"}),
	}
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.open(ctx); err != nil {
		return err
	}
	return e.consume(ctx)
}

// open makes everything that the exhibit consists of.
func (e *exhibit) open(ctx context.Context) (err error) {
	at := e.cfg.MySQL
	if e.db, err = mysql.Open(mysql.Config{
		Address: at.Address, Database: at.Database, User: at.User, Password: at.Password.Reveal(),
	}); err != nil {
		return err
	}
	if err := e.db.RefreshEpoch(ctx); err != nil {
		return err
	}
	if e.ledger, err = textbook.OpenLedger(textbook.Database{
		Address: at.Address, Name: at.Database, User: at.User, Password: at.Password.Reveal(),
		Connections: connections, ReadTimeout: at.ReadTimeout, AsText: !e.opts.Bench,
		Committed: e.opts.Committed,
	}); err != nil {
		return err
	}
	keys, err := redis.ParseKeyring(e.cfg.Cache.Keys.Reveal())
	if err != nil {
		return err
	}
	if e.cache, err = redis.New[payment.Answer](redis.Config{
		Address: e.cfg.Redis.Address, Password: e.cfg.Redis.Password.Reveal(),
		KeyPrefix: e.cfg.Redis.KeyPrefix, Timeout: e.cfg.Redis.Timeout, Keys: keys,
		Expiry: e.cfg.Cache.Expiry,
	}, e.db.Epoch, e.log); err != nil {
		return err
	}
	return e.openBroker()
}

func (e *exhibit) openBroker() (err error) {
	instance := rocketmq.UniqueInstance()
	if err := e.openResults(instance); err != nil {
		return err
	}
	flow, err := textbook.New(e.opts.Order, e.cache, e.ledger)
	if err != nil {
		return err
	}
	service := payment.NewService(flow, mysql.NewQuarantine(e.db), e.results,
		idem.NewHold(idem.HoldOptions{}), idem.NewHold(idem.HoldOptions{}),
		payment.Options{
			Instance: instance,
			Observe:  func(_ context.Context, event payment.Event) { e.metrics.Observe(event) },
		})
	handle := func(ctx context.Context, m payment.Message) payment.Disposition {
		return service.Handle(textbook.WithMessageID(ctx, m.ID), m)
	}
	e.orders, err = rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: e.cfg.RocketMQ.NameServers, Group: e.cfg.RocketMQ.Group,
		Topic: e.cfg.RocketMQ.Topic, Tag: e.cfg.RocketMQ.Tag, Instance: instance,
		Concurrency: goroutines, HandlerTimeout: e.cfg.Hold.Limit,
		WriteTopics: []string{e.cfg.RocketMQ.ResultTopic},
	}, handle, e.log)
	return err
}

// openResults makes what tells callers what became of their requests.
func (e *exhibit) openResults(instance string) (err error) {
	if e.opts.Bench {
		e.results = noResults{}
		return nil
	}
	e.sender, err = rocketmq.NewResults(rocketmq.ResultsConfig{
		Producer: cli.Producer(e.cfg.RocketMQ.Broker, e.cfg.RocketMQ.Sending, "exhibit-sender",
			instance+"-results"),
		Topic: e.cfg.RocketMQ.ResultTopic,
	}, e.log)
	e.results = e.sender
	return err
}

// noResults tells nobody.
type noResults struct{}

func (noResults) Send(context.Context, order.Result) error { return nil }

// consume says that it is ready when it is, and until ctx ends.
func (e *exhibit) consume(ctx context.Context) (err error) {
	health := ops.NewHealth(time.Now, nil)
	ready := health.Require("orders")
	server := ops.NewServer(e.cfg.Ops.Address, health, e.metrics, e.log)
	if err := server.Start(ctx); err != nil {
		return err
	}
	var watching sync.WaitGroup
	watch, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		watching.Wait()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err = errors.Join(err, server.Shutdown(end))
	}()
	watching.Go(func() { e.db.WatchEpoch(watch) })
	e.log.Info("serving health", zap.String("ops", server.Address()))
	if err := e.orders.Start(ctx); err != nil {
		return err
	}
	ready.Set(nil)
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return e.orders.Drain(end)
}

// close ends what was opened.
func (e *exhibit) close() error {
	var problems []error
	if e.sender != nil {
		problems = append(problems, e.sender.Close())
	}
	if e.cache != nil {
		problems = append(problems, e.cache.Close())
	}
	if e.ledger != nil {
		problems = append(problems, e.ledger.Close())
	}
	if e.db != nil {
		problems = append(problems, e.db.Close())
	}
	return errors.Join(problems...)
}
