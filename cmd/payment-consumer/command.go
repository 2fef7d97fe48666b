package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/ops"
)

// app is one run of the program: where it reads and writes, and what its flags say.
type app struct {
	cli.Streams
	environ []string
	file    string
}

// command is the tree of commands. Without a subcommand the program consumes.
func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "payment-consumer",
		Short: "make each payment exactly once, however often its message is delivered",
		Long: `Payment-consumer reads order messages from RocketMQ and makes each payment exactly
once: it looks the serial number up in Redis, then in MySQL, and then makes payment and serial
durable in one transaction whose unique key decides. Without a command it consumes until a
signal ends it; the first signal lets it finish what it has begun, a second one ends it at
once.

Every setting can be a flag, a variable or a line of the file: payment-consumer config explains
them all, payment-consumer config print shows what is in force and where it comes from.`,
		Example: `  payment-consumer --config configs/payment-consumer.yaml
  payment-consumer migrate
  payment-consumer audit -o json
  payment-consumer why PAY_100`,
		Args: cli.NoArguments,
		RunE: a.run,
	}
	a.Prepare(root)
	root.PersistentFlags().StringVar(&a.file, "config", "", "read settings from `FILE`")
	config.AddConsumerFlags(root.PersistentFlags())
	run := &cobra.Command{
		Use: "run", Short: "consume (the default)", Args: cli.NoArguments, RunE: a.run,
	}
	for _, cmd := range []*cobra.Command{
		a.migrateCommand(), a.accountsCommand(), a.auditCommand(), a.whyCommand(),
		a.quarantineCommand(), a.epochCommand(), a.archiveCommand(),
	} {
		asksDatabase(cmd)
		root.AddCommand(cmd)
	}
	root.AddCommand(run, a.healthyCommand(), a.configCommand())
	return root
}

// databaseHint is what to do about a database that cannot be reached.
const databaseHint = "is the database running, and is PAYMENT_MYSQL_ADDRESS right?"

// asksDatabase makes a command, and those below it, say what to do when the database does not
// answer.
func asksDatabase(cmd *cobra.Command) {
	for _, child := range cmd.Commands() {
		asksDatabase(child)
	}
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if errors.Is(err, idem.ErrUnavailable) && !errors.Is(err, mysql.ErrRefused) {
			err = fmt.Errorf("%w (%s)", err, databaseHint)
		}
		return err
	}
}

// load reads the settings that a command needs.
func (a *app) load(cmd *cobra.Command, needs ...config.Part) (config.Consumer, error) {
	cfg, err := config.LoadConsumer(config.Input{
		Path: a.file, Flags: cmd.Flags(), Environ: a.environ,
	}, needs...)
	if err != nil {
		return cfg, cli.Usage(err)
	}
	return cfg, nil
}

func (a *app) configCommand() *cobra.Command {
	return a.ConfigCommand(cli.Settings{
		Help: config.WriteConsumerHelp, Example: config.WriteConsumerExample,
		Load: func(cmd *cobra.Command) (config.Settings, error) {
			cfg, err := a.load(cmd)
			return cfg.Settings, err
		},
	})
}

// database opens the database as the consumer's own user.
func (a *app) database(cfg config.Consumer) (*mysql.DB, error) {
	dbConfig, err := databaseConfig(cfg)
	if err != nil {
		return nil, err
	}
	return mysql.Open(dbConfig)
}

func databaseConfig(cfg config.Consumer) (mysql.Config, error) {
	encrypted, err := cli.TLS(cfg.MySQL.TLS, "mysql")
	return mysql.Config{
		TLS:     encrypted,
		Address: cfg.MySQL.Address, Database: cfg.MySQL.Database,
		User: cfg.MySQL.User, Password: cfg.MySQL.Password.Reveal(),
		MaxOpen:     cfg.MySQL.MaxOpenConnections,
		DialTimeout: cfg.MySQL.ConnectTimeout, ReadTimeout: cfg.MySQL.ReadTimeout,
		LockWait: cfg.MySQL.LockWaitTimeout, SessionTimeout: cfg.MySQL.SessionTimeout,
		IdleTime: cfg.MySQL.IdleTimeout,
	}, err
}

// ownerConfig reaches the database as the user that owns the schema.
func ownerConfig(cfg config.Consumer) (mysql.Config, error) {
	c, err := databaseConfig(cfg)
	c.User, c.Password = cfg.Migrate.User, cfg.Migrate.Password.Reveal()
	return c, err
}

// archiveConfig reaches the database as the user that may delete what is old.
func archiveConfig(cfg config.Consumer) (mysql.Config, error) {
	c, err := databaseConfig(cfg)
	c.User, c.Password = cfg.Archive.User, cfg.Archive.Password.Reveal()
	return c, err
}

func (a *app) logger(cfg config.Consumer) (*zap.Logger, error) {
	log, _, err := ops.NewLogger(a.Stderr, ops.Logging(cfg.Log))
	return log, err
}
