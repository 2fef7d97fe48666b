package config

import "fmt"

func mysql(c *MySQL) []setting {
	return append([]setting{
		shown(bind(&c.Address, "mysql.address", "127.0.0.1:3306",
			hostPort(1, "127.0.0.1:3306"),
			"The database server, MySQL 8.4 or MariaDB 10.11 and newer.")),
		bind(&c.Database, "mysql.database", "payment", chars(1, 64, "_"),
			"The database that holds the payments."),
		bind(&c.User, "mysql.user", "payment_app", userName(),
			"The user of the consumer. It needs no right to change the schema or to delete."),
		bindSecret(&c.Password, "mysql.password", NeedMySQL, anySecret(),
			"The password of mysql.user."),
		bind(&c.TLS.On, "mysql.tls", "false", yesNo(),
			"Encrypt, and refuse a server whose certificate does not verify for the host in "+
				"mysql.address. There is no setting that encrypts and does not verify."),
		bind(&c.TLS.CAFile, "mysql.tls_ca", "", path(),
			"A file with the certificates (PEM) that may sign the server's; those of the system "+
				"if empty."),
		bind(&c.MaxOpenConnections, "mysql.max_open_connections", "8", whole(2, 200),
			"How many connections are opened at most: one for each committer, and some for "+
				"lookups and the quarantine."),
	}, mysqlTimes(c)...)
}

func mysqlTimes(c *MySQL) []setting {
	return []setting{
		bind(&c.ConnectTimeout, "mysql.connect_timeout_seconds", "3", seconds(1, 60),
			"How long opening a connection may take."),
		bind(&c.LockWaitTimeout, "mysql.lock_wait_timeout_seconds", "3", seconds(1, 60),
			"How long the server waits for the lock of an account. It must give up before the "+
				"program stops reading, or the program never learns why."),
		bind(&c.ReadTimeout, "mysql.read_timeout_seconds", "5", seconds(1, 120),
			"How long the program waits for an answer of the server, and for it to take a "+
				"statement."),
		bind(&c.SessionTimeout, "mysql.session_timeout_seconds", "20", seconds(2, 600),
			"After how long the server ends a silent connection, and with it the locks of a "+
				"consumer that was paused or cut off. The server's own default is 8 hours."),
		bind(&c.IdleTimeout, "mysql.idle_timeout_seconds", "10", seconds(1, 300),
			"After how long the program closes a connection that it does not use. It must be "+
				"sooner than the server does."),
		bind(&c.AllowUnsafe, "mysql.allow_unsafe", "false", yesNo(),
			"Start although the server may lose commits in a crash "+
				"(innodb_flush_log_at_trx_commit or sync_binlog is not 1). For tests only."),
	}
}

func redis(c *Redis) []setting {
	return []setting{
		shown(bind(&c.Address, "redis.address", "127.0.0.1:6379",
			hostPort(1, "127.0.0.1:6379"),
			"The Redis server of the cache. Without it the consumer goes on, only slower.")),
		bind(&c.User, "redis.user", "", chars(0, 64, "_.-"),
			"The user of the Redis server, if it has users (ACL). SECURITY.md lists what it needs."),
		bindSecret(&c.Password, "redis.password", "", anySecret(),
			"The password of redis.user, or of the Redis server, if it has one."),
		bind(&c.TLS.On, "redis.tls", "false", yesNo(),
			"Encrypt, and refuse a server whose certificate does not verify for the host in "+
				"redis.address."),
		bind(&c.TLS.CAFile, "redis.tls_ca", "", path(),
			"A file with the certificates (PEM) that may sign the server's; those of the system "+
				"if empty."),
		bind(&c.DB, "redis.db", "0", whole(0, 1000000),
			"The number of the Redis database."),
		bind(&c.KeyPrefix, "redis.key_prefix", "payment:", chars(1, 64, "_.:-"),
			"What every Redis key begins with, so that programs can share a server."),
		bind(&c.Timeout, "redis.timeout_ms", "100", millis(1, 10000),
			"How long the cache may take for an answer before the database is asked instead."),
	}
}

func cache(c *Cache) []setting {
	return []setting{
		bindSecret(&c.Keys, "cache.keys", NeedCache, keyring(),
			"The keys that sign cache values: NAME:HEX, or two with a comma between them. The "+
				"first signs, both verify. To rotate, give every consumer the new key as the second; "+
				"then put it first; drop the old one after cache.expiry_seconds and "+
				"cache.expiry_jitter_seconds. Make one with: echo k1:$(openssl rand -hex 32)"),
		bind(&c.Expiry, "cache.expiry_seconds", "86400", seconds(1, 30*86400),
			"How long an answer stays in the cache. After it the database answers."),
		bind(&c.ExpiryJitter, "cache.expiry_jitter_seconds", "3600", seconds(0, 86400),
			"By how much the expiry varies, so that what was written together does not expire "+
				"together."),
	}
}

func guard(c *Guard) []setting {
	return []setting{
		bind(&c.BatchMax, "guard.batch_max", "400", whole(1, 400),
			"How many messages share a transaction at most. MariaDB locks whole tables for "+
				"statements with about 1,000 keys, hence the bound."),
		bind(&c.Committers, "guard.committers", "2", whole(1, 64),
			"How many transactions run at once. Each uses a connection."),
		bind(&c.Waiting, "guard.waiting", "2048", whole(1, 65536),
			"How many messages may wait for a transaction; those beyond wait for their turn."),
	}
}

func hold(c *Hold) []setting {
	return []setting{
		bind(&c.Limit, "hold.limit_seconds", "120", seconds(1, 1800),
			"How long one delivery may take in all. Messages are held for as long while the "+
				"database or the result topic is away, and then sent back to the broker."),
		bind(&c.ProbeMin, "hold.probe_min_ms", "100", millis(10, 60000),
			"The first pause between two attempts to reach what is away."),
		bind(&c.ProbeMax, "hold.probe_max_ms", "5000", millis(10, 60000),
			"The longest pause; pauses double up to it."),
	}
}

func payment(c *Payment) []setting {
	return []setting{
		bind(&c.MaxAmountMinor, "payment.max_amount_minor", "1000000000000",
			whole[int64](1, 1_000_000_000_000_000),
			"The largest amount of one payment, in the smallest unit of its currency. A "+
				"larger one is rejected."),
		bind(&c.BalanceLimitMinor, "payment.balance_limit_minor", "1000000000000000000",
			whole[int64](1, 4_000_000_000_000_000_000),
			"The largest balance of an account, in the smallest unit of its currency. A "+
				"payment that would exceed it is declined."),
	}
}

// consumerRules are the checks between settings.
func consumerRules(c *Consumer) []rule {
	return []rule{
		atMost("hold.probe_max_ms", c.Hold.ProbeMax, "hold.limit_seconds", c.Hold.Limit,
			"a held message must outlast a pause, or nobody ever sees that all is well again"),
		consumeTimeout(c),
		less("mysql.lock_wait_timeout_seconds", c.MySQL.LockWaitTimeout,
			"mysql.read_timeout_seconds", c.MySQL.ReadTimeout,
			"the server must give up a lock before the program stops reading"),
		less("mysql.read_timeout_seconds", c.MySQL.ReadTimeout,
			"mysql.session_timeout_seconds", c.MySQL.SessionTimeout,
			"the server would end a connection that waits for an answer"),
		less("mysql.idle_timeout_seconds", c.MySQL.IdleTimeout,
			"mysql.session_timeout_seconds", c.MySQL.SessionTimeout,
			"the program must drop an idle connection before the server does"),
		less("guard.committers", c.Guard.Committers,
			"mysql.max_open_connections", c.MySQL.MaxOpenConnections,
			"lookups and the quarantine need a connection too"),
		atMost("hold.probe_min_ms", c.Hold.ProbeMin, "hold.probe_max_ms", c.Hold.ProbeMax,
			"pauses grow"),
		less("cache.expiry_jitter_seconds", c.Cache.ExpiryJitter,
			"cache.expiry_seconds", c.Cache.Expiry, "a value must live at all"),
		atMost("payment.max_amount_minor", c.Payment.MaxAmountMinor,
			"payment.balance_limit_minor", c.Payment.BalanceLimitMinor,
			"no account could receive such a payment"),
		waiting(c), together(&c.RocketMQ.Broker),
	}
}

// consumeTimeout: the client must not give a message back that is still being handled, and a
// delivery may begin when a good part of the time has passed in the client's own queue.
func consumeTimeout(c *Consumer) rule {
	return rule{
		keys: []string{"rocketmq.consume_timeout_seconds", "hold.limit_seconds"},
		ok:   c.RocketMQ.ConsumeTimeout >= 2*c.Hold.Limit,
		text: fmt.Sprintf("%s: %v must be at least twice %s, %v: the client would give back a "+
			"message that is still being handled", named("rocketmq.consume_timeout_seconds"),
			c.RocketMQ.ConsumeTimeout, named("hold.limit_seconds"),
			c.Hold.Limit),
	}
}

// waiting: the client runs as many calls again for redelivered messages. A call that finds no
// place to wait blocks, and with it a good message behind a bad one.
func waiting(c *Consumer) rule {
	return rule{
		keys: []string{"guard.waiting", "rocketmq.concurrency"},
		ok:   c.Guard.Waiting >= 2*c.RocketMQ.Concurrency,
		text: fmt.Sprintf("%s: %d must be at least twice rocketmq.concurrency, %d: orders and "+
			"redelivered orders are handled side by side",
			named("guard.waiting"), c.Guard.Waiting, c.RocketMQ.Concurrency),
	}
}
