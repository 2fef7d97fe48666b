package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/ops"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/tracing"
)

// senderGroup names this program at the broker.
const senderGroup = "order-producer"

// lookupTimeout bounds the questions to the name servers before anything is sent or read.
const lookupTimeout = 10 * time.Second

// app is one run of the program: where it reads and writes, and what its flags say.
type app struct {
	cli.Streams
	stdin   io.Reader
	environ []string
	file    string
	dial    func(ctx context.Context, cfg config.Producer, log *zap.Logger) (broker, error)
}

// broker takes messages. It is safe for concurrent use.
type broker interface {
	// Send returns when the message is stored. An error that wraps rocketmq.ErrUnknown leaves
	// that open; after any other the message is not stored.
	Send(ctx context.Context, out rocketmq.Outgoing) (rocketmq.Receipt, error)
	// Close waits for the sends under way.
	Close() error
}

var _ broker = (*rocketmq.Producer)(nil)

// command is the tree of commands.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "order-producer",
		Short: "send order messages, and read their results",
		Long: `Order-producer plays the application that wants orders paid. Each message has the order
ID as its Key and a payment serial number, minted before the first send and repeated unchanged with
every resend. A send counts as done only when the broker has said so. When nobody can say whether
it is stored, the same message is sent again, rocketmq.unknown_repeats times: the consumer pays
a serial number once, so sending too often is safe, and sending too rarely is not.

Every setting can be a flag, a variable or a line of the file: order-producer config explains
them all, order-producer config print shows what is in force and where it comes from.

The exit status is 0 when everything was done, 1 when something was not, 2 when the command line
or the settings are wrong, 130 after an interrupt; an interrupt is how results --follow ends, and
that is 0.`,
		Example: `  order-producer send --payer user-1 --payee shop-1 --amount 19.99
  order-producer load --orders 5000 --repeat 20% --alter 1% --malform 1%
  order-producer load --file orders.csv
  order-producer results --follow`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	a.Prepare(root)
	root.PersistentFlags().StringVar(&a.file, "config", "", "read settings from `FILE`")
	config.AddProducerFlags(root.PersistentFlags())
	root.AddCommand(a.sendCommand(), a.loadCommand(), a.resultsCommand(),
		a.ConfigCommand(cli.Settings{
			Help: config.WriteProducerHelp, Example: config.WriteProducerExample,
			Load: func(cmd *cobra.Command) (config.Settings, error) {
				cfg, err := a.load(cmd)
				return cfg.Settings, err
			},
		}))
	return root
}

func (a *app) load(cmd *cobra.Command) (config.Producer, error) {
	cfg, err := config.LoadProducer(config.Input{
		Path: a.file, Flags: cmd.Flags(), Environ: a.environ,
	})
	if err != nil {
		return cfg, cli.Usage(err)
	}
	return cfg, nil
}

// logger makes the log and takes the client's log into it. It is called once.
func (a *app) logger(cfg config.Producer) (*zap.Logger, error) {
	log, _, err := ops.NewLogger(a.Stderr, ops.Logging(cfg.Log))
	if err != nil {
		return nil, cli.Usage(err)
	}
	return log, nil
}

// withBroker connects for one command.
func (a *app) withBroker(
	cmd *cobra.Command, cfg config.Producer, do func(s *sender) error,
) (err error) {
	log, err := a.logger(cfg)
	if err != nil {
		return err
	}
	b, err := a.dial(cmd.Context(), cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return do(&sender{
		broker: b, topic: cfg.RocketMQ.Topic, tag: cfg.RocketMQ.Tag,
		repeats: cfg.RocketMQ.UnknownRepeats, pause: firstPause,
	})
}

// dialBroker looks for the topic before the first message, so that a wrong address or a wrong
// name is one error and not one for each order.
func dialBroker(ctx context.Context, cfg config.Producer, log *zap.Logger) (broker, error) {
	rocketmq.QuietClientLogs(log)
	if err := findTopic(ctx, cfg, cfg.RocketMQ.Topic, "PAYMENT_ROCKETMQ_TOPIC"); err != nil {
		return nil, err
	}
	sending := cli.Producer(cfg.RocketMQ.Broker, cfg.RocketMQ.Sending, senderGroup,
		rocketmq.UniqueInstance())
	tracer, err := cli.Tracer(ctx, cfg.Tracing, senderGroup, sending.Instance, log)
	if err != nil {
		return nil, err
	}
	sending.Tracer = tracer
	producer, err := rocketmq.NewProducer(sending, log)
	if err != nil {
		return nil, errors.Join(err, tracer.Close(ctx))
	}
	return tracedBroker{producer, tracer}, nil
}

// tracedBroker also ends the tracer of its producer.
type tracedBroker struct {
	*rocketmq.Producer
	tracer *tracing.Tracer
}

// Close waits for the sends under way, and then for their spans.
func (b tracedBroker) Close() error {
	return errors.Join(b.Producer.Close(), b.tracer.Close(context.Background()))
}

// findTopic says in one line what to do about a topic that cannot be found.
func findTopic(ctx context.Context, cfg config.Producer, topic, setting string) error {
	admin, err := newAdmin(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_, err = admin.Route(ctx, topic)
	switch {
	case errors.Is(err, rocketmq.ErrNoTopic):
		return fmt.Errorf("topic %s does not exist; create it, or set %s to the right one",
			topic, setting)
	case err != nil:
		return fmt.Errorf("no name server answers: %s (is RocketMQ running, and is %s right?)",
			oneLine(err), rocketmq.NameServersSetting)
	}
	return nil
}

func newAdmin(cfg config.Producer) (*rocketmq.Admin, error) {
	admin, err := rocketmq.NewAdmin(cfg.RocketMQ.NameServers, cfg.RocketMQ.AccessKey,
		cfg.RocketMQ.SecretKey.Reveal())
	if err != nil {
		return nil, cli.Usage(err)
	}
	return admin, nil
}
