package config

import "time"

// Consumer is what payment-consumer can be told.
type Consumer struct {
	RocketMQ ConsumerRocketMQ
	MySQL    MySQL
	Migrate  Migrate
	Archive  Archive
	Redis    Redis
	Cache    Cache
	Guard    Guard
	Hold     Hold
	Payment  Payment
	Ops      Ops
	Shutdown Shutdown
	Log      Log
	Tracing  Tracing
	// Settings lists every setting with its value and its source, secrets redacted.
	Settings Settings
}

// ConsumerRocketMQ is where orders are read and results are sent.
type ConsumerRocketMQ struct {
	Broker
	Sending
	Topic, Tag, ResultTopic, Group string
	Concurrency                    int
	ConsumeTimeout                 time.Duration
	MaxRedeliveries                int
	StartAttempts                  int
}

// MySQL is the database as the consumer uses it.
type MySQL struct {
	Address, Database, User     string
	Password                    Secret
	TLS                         TLS
	MaxOpenConnections          int
	ConnectTimeout              time.Duration
	ReadTimeout                 time.Duration
	LockWaitTimeout             time.Duration
	SessionTimeout, IdleTimeout time.Duration
	AllowUnsafe                 bool
}

// Migrate is the user that may change the schema, and those that it grants rights to.
type Migrate struct {
	User                 string
	Password             Secret
	AppUser, ArchiveUser string
}

// Archive is the user that moves what is old.
type Archive struct {
	User     string
	Password Secret
}

// Redis is the server of the cache.
type Redis struct {
	Address   string
	User      string
	Password  Secret
	TLS       TLS
	DB        int
	KeyPrefix string
	Timeout   time.Duration
}

// TLS says whether a connection is encrypted. One that is always verifies the server.
type TLS struct {
	On     bool
	CAFile string
}

// Cache is what is kept in Redis, and how it is signed.
type Cache struct {
	Keys                 Secret
	Expiry, ExpiryJitter time.Duration
}

// Guard bounds the group commit.
type Guard struct {
	BatchMax, Committers, Waiting int
}

// Hold bounds the wait for a database or a result topic that is away.
type Hold struct {
	Limit, ProbeMin, ProbeMax time.Duration
}

// Payment holds the rules of the business, in minor units.
type Payment struct {
	MaxAmountMinor, BalanceLimitMinor int64
}

// Ops is where health, metrics and profiles are served.
type Ops struct {
	Address string
}

// Shutdown bounds the time from the first signal to the exit.
type Shutdown struct {
	Grace time.Duration
}

// consumerTable is every setting of the consumer, bound to the fields of c.
func consumerTable(c *Consumer) []setting {
	return withFiles(concat(
		consumerBroker(&c.RocketMQ), consumerListener(&c.RocketMQ), mysql(&c.MySQL),
		migrate(&c.Migrate), archive(&c.Archive), redis(&c.Redis), cache(&c.Cache),
		guard(&c.Guard), hold(&c.Hold),
		payment(&c.Payment), operations(c), logging(&c.Log, "info", "json"),
		tracing(&c.Tracing),
	))
}

func consumerBroker(c *ConsumerRocketMQ) []setting {
	return concat(broker(&c.Broker), orders(&c.Topic, &c.Tag, &c.ResultTopic), []setting{
		bind(&c.Group, "rocketmq.group", "payment-consumer", groupName(),
			"The consumer group. All consumers of one group share the orders; a group of "+
				"another name gets every order again, which pays nothing twice. The broker "+
				"keeps its redeliveries in %RETRY%GROUP and %DLQ%GROUP."),
	}, sending(&c.Sending))
}

func consumerListener(c *ConsumerRocketMQ) []setting {
	return []setting{
		bind(&c.Concurrency, "rocketmq.concurrency", "1024", whole(1, 2048),
			"How many messages may be handled at once. They wait together for the next group "+
				"commit, so this is no number of threads or of connections."),
		bind(&c.ConsumeTimeout, "rocketmq.consume_timeout_seconds", "300", seconds(2, 3600),
			"After how long the client gives up a delivery that has no answer and sends the "+
				"message back. At least twice hold.limit_seconds."),
		bind(&c.MaxRedeliveries, "rocketmq.max_redeliveries", "16", whole(1, 100),
			"How often the broker redelivers a message, in growing intervals, before it "+
				"becomes a dead letter."),
		bind(&c.StartAttempts, "rocketmq.start_attempts", "10", whole(1, 1000),
			"How often the start is tried, with growing pauses, while the name server or a "+
				"topic is not there; then the program exits."),
	}
}

func migrate(c *Migrate) []setting {
	return []setting{
		bind(&c.User, "migrate.user", "payment_migrate", userName(),
			"The database user that owns the schema. Only `payment-consumer migrate` uses it."),
		bindSecret(&c.Password, "migrate.password", NeedMigrate, anySecret(),
			"The password of migrate.user."),
		bind(&c.AppUser, "migrate.app_user", "payment_app", userName(),
			"The database user that the migration grants its rights to: mysql.user of the "+
				"consumer that runs."),
		bind(&c.ArchiveUser, "migrate.archive_user", "", chars(0, 32, "_.-"),
			"The database user that the migration grants the rights of the archive to: "+
				"archive.user of whoever archives. Without one nobody may delete anything."),
	}
}

func archive(c *Archive) []setting {
	return []setting{
		bind(&c.User, "archive.user", "payment_archive", userName(),
			"The database user that moves what is old. Only `payment-consumer archive` uses it."),
		bindSecret(&c.Password, "archive.password", NeedArchive, anySecret(),
			"The password of archive.user."),
	}
}

func operations(c *Consumer) []setting {
	return []setting{
		shown(bind(&c.Ops.Address, "ops.address", "127.0.0.1:9101", hostPort(0, "127.0.0.1:9101"),
			"Where /healthz, /readyz and /metrics are served. Profiles (/debug/pprof/) are "+
				"served too, but only on a loopback address. A second consumer on this machine "+
				"needs another port.")),
		bind(&c.Shutdown.Grace, "shutdown.grace_seconds", "30", seconds(1, 600),
			"How long the program may take, after the first signal, to finish and acknowledge "+
				"what it has begun. What is not finished is redelivered."),
	}
}
