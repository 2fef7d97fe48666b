// Package redis keeps the answers that were given to decided requests in Redis, as step 1 of the
// idempotent flow: an idem.Cache that saves a look into the database and is never needed.
//
// # What it promises
//
// Get returns only records that this service wrote. A value carries an HMAC over the key ID, the
// ledger epoch, the cache key, the fingerprint, the time and the answer, so a value that was
// forged, altered, cut short, copied from another key, or written before the database was
// restored is a miss, and the database decides. Every value has an expiry.
//
// Redis may be empty, slow, full, read-only or gone at any time. A call then fails within
// Config.Timeout, the caller goes on with the database, and after a few failures a breaker
// answers for Redis without asking it, so that an outage costs nothing but step 2. Lookups and
// writes have a breaker each: a full or read-only Redis still answers lookups.
//
// # Rotating the key
//
// A Keyring holds one or two keys; the first signs and all of them verify. To rotate without
// losing the cache: append the new key everywhere; then put it first everywhere; then, after
// Config.Expiry plus Config.ExpiryJitter, remove the old one. A key that leaked is removed at
// once: every value that it signed becomes a miss, and the cache fills again by itself.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
)

// Limits that no configuration moves.
const (
	// connections bounds the pool. A committer uses one at a time; the rest is for operators.
	connections = 16
	// idleTime closes a connection that nobody used, before a firewall forgets it.
	idleTime = 5 * time.Minute
	// patience is the time limit of what a person asks, where a wrong "down" costs more than
	// waiting: Ping, Inspect, and each page of Scan. A longer Timeout extends it, and a probe has
	// its own.
	patience = 5 * time.Second
	// maxPipeline bounds the commands of one round trip.
	maxPipeline = 1000
	// bufferSize holds the replies of a usual batch, so that reading one is few system calls.
	bufferSize = 64 << 10
)

// Config says where the cache is and how it behaves. Zero limits take the defaults.
type Config struct {
	Address   string      // host:port
	User      string      // empty for the default user
	Password  string      // empty for a server without one
	TLS       *tls.Config // nil for a connection that is not encrypted
	DB        int
	KeyPrefix string // put before every key, so that services can share a server
	// Expiry is how long a value stays at least; ExpiryJitter is a random time on top, so that
	// what was written together does not expire together.
	Expiry       time.Duration // default 24 h
	ExpiryJitter time.Duration // may be 0
	Timeout      time.Duration // budget of one Get or Put, connecting included; default 100 ms
	// Pause is how long an open breaker keeps a failed Redis from being asked; default 1 s.
	Pause time.Duration
	Keys  Keyring
	Hooks Hooks
}

// Result is how the lookup of one key ended.
type Result string

// Results of a lookup. Only a Hit answers a request; all others leave it to the database.
const (
	// Hit: a value that verified.
	Hit Result = "hit"
	// Miss: nothing there.
	Miss Result = "miss"
	// Stale: a value that does not verify under the present keys and the present epoch.
	Stale Result = "stale"
	// Failed: Redis did not say.
	Failed Result = "error"
)

// Side tells lookups from writes, which fail apart.
type Side string

// The two sides of the cache.
const (
	Lookups Side = "lookups"
	Writes  Side = "writes"
)

// Hooks are told what happens, for counting. They are called by all callers of the cache at
// once, must be quick, and must not call the cache. Any of them may be nil.
type Hooks struct {
	// Lookup reports n keys whose lookup ended alike.
	Lookup func(result Result, n int)
	// Write reports n records that were, or were not, stored.
	Write func(ok bool, n int)
	// Breaker reports that a side was given up (open) or works again, once per change.
	Breaker func(side Side, open bool)
}

// Cache is an idem.Cache in Redis. It is safe for concurrent use.
type Cache[R any] struct {
	cfg     Config
	epoch   func() (string, bool)
	client  *redis.Client // keeps the budget of the hot path
	patient *redis.Client // the same connections under the limit of an operator
	lookups *breaker
	writes  *breaker
}

var _ idem.Cache[struct{}] = (*Cache[struct{}])(nil)

// New returns a Cache. It does not connect: Redis may be down at the start as at any other time.
//
// The epoch names the present state of the database; a value from another epoch is a miss. While
// it is not known (ok is false), everything is a miss and nothing is written.
func New[R any](cfg Config, epoch func() (string, bool), log *zap.Logger) (*Cache[R], error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if epoch == nil {
		return nil, errors.New("redis: no source for the ledger epoch")
	}
	client := redis.NewClient(cfg.options())
	client.AddHook(tracer{})
	log = log.With(zap.String("redis", cfg.Address))
	return &Cache[R]{
		cfg: cfg, epoch: epoch, client: client,
		patient: client.WithTimeout(cfg.patience()),
		lookups: newBreaker(Lookups, cfg, log),
		writes:  newBreaker(Writes, cfg, log),
	}, nil
}

func (c Config) withDefaults() Config {
	if c.Expiry == 0 {
		c.Expiry = 24 * time.Hour
	}
	if c.Timeout == 0 {
		c.Timeout = 100 * time.Millisecond
	}
	if c.Pause == 0 {
		c.Pause = time.Second
	}
	if c.Hooks.Lookup == nil {
		c.Hooks.Lookup = func(Result, int) {}
	}
	if c.Hooks.Write == nil {
		c.Hooks.Write = func(bool, int) {}
	}
	if c.Hooks.Breaker == nil {
		c.Hooks.Breaker = func(Side, bool) {}
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.Address == "":
		return errors.New("redis: the address is empty")
	case c.KeyPrefix == "":
		// The audit reads every key under the prefix, and would read other people's.
		return errors.New("redis: the key prefix is empty")
	case c.DB < 0:
		return fmt.Errorf("redis: database %d is negative", c.DB)
	case c.Expiry < time.Second:
		return fmt.Errorf("redis: expiry %s is under one second", c.Expiry)
	case c.ExpiryJitter < 0:
		return fmt.Errorf("redis: expiry jitter %s is negative", c.ExpiryJitter)
	case c.Timeout < time.Millisecond:
		return fmt.Errorf("redis: timeout %s is under one millisecond", c.Timeout)
	case c.Pause < 0:
		return fmt.Errorf("redis: breaker pause %s is negative", c.Pause)
	case len(c.Keys.keys) == 0:
		return errors.New("redis: no key to sign values with")
	}
	return nil
}

// options turn off whatever would take longer than the budget. By default the client makes four
// attempts of 5 s each, and dials five times.
func (c Config) options() *redis.Options {
	return &redis.Options{
		Addr: c.Address, Username: c.User, Password: c.Password, DB: c.DB,
		TLSConfig:             c.tls(),
		ContextTimeoutEnabled: true,
		DialTimeout:           c.Timeout,
		ReadTimeout:           c.Timeout,
		WriteTimeout:          c.Timeout,
		PoolTimeout:           c.Timeout,
		MaxRetries:            -1,
		DialerRetries:         1,
		PoolSize:              connections,
		// Pipelines share the one pool: a pool of their own dials twice when Redis is down.
		PipelinePoolSize: -1,
		ConnMaxIdleTime:  idleTime,
		ReadBufferSize:   bufferSize,
		WriteBufferSize:  bufferSize,
		// RESP2 has no push messages, so no call looks for them; CLIENT SETINFO and the
		// handshake of maintenance notifications would each be one more round trip within the
		// budget of the first call, and Redis 7.0 answers both with an error.
		Protocol:        2,
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// tls is the configuration with the host's name in it, which the client does not put in.
func (c Config) tls() *tls.Config {
	if c.TLS == nil {
		return nil
	}
	withName := c.TLS.Clone()
	if host, _, err := net.SplitHostPort(c.Address); err == nil && withName.ServerName == "" {
		withName.ServerName = host
	}
	return withName
}

func (c Config) patience() time.Duration { return max(patience, c.Timeout) }

// Ping asks Redis whether it answers and accepts the password. It does not mind the breakers.
func (c *Cache[R]) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.patience())
	defer cancel()
	if err := c.patient.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis %s: ping: %w", c.cfg.Address, describe(err))
	}
	return nil
}

// Pool is what the connections to Redis are doing. Waits and Waited only grow.
type Pool struct {
	Max, InUse, Idle int
	Waits            int64
	Waited           time.Duration
}

// Pool counts the connections, and the waits for one.
func (c *Cache[R]) Pool() Pool {
	s := c.client.PoolStats()
	return Pool{
		Max: connections, InUse: max(0, int(s.TotalConns)-int(s.IdleConns)), Idle: int(s.IdleConns),
		Waits: int64(s.WaitCount), Waited: time.Duration(s.WaitDurationNs),
	}
}

// Close closes the connections. Calls that are under way, and later ones, fail; closing twice
// does no harm. If Redis was down at the time, a goroutine of the client that waits for it to
// come back notices the end about a second later.
func (c *Cache[R]) Close() error {
	if err := c.client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("redis %s: close: %w", c.cfg.Address, describe(err))
	}
	return nil
}
