package faults

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"example.com/payment/internal/audience"
	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/link"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/rocketmq"
)

// proxyHost is the loopback address at which the proxy before the broker listens.
const proxyHost = "127.0.0.2"

// brokerSettings shorten what would only make cases slow: redeliveries come after a second, and
// the broker forgets a killed client after 40 s instead of 120 s. It notices most kills at once, by
// the connection, but a heartbeat that it handles after the connection has ended keeps the dead
// client in the group, with a share of the queues. Clients send a heartbeat every 30 s.
func brokerSettings() map[string]string {
	return map[string]string{
		"messageDelayLevel":     strings.TrimSpace(strings.Repeat("1s ", 18)),
		"channelExpiredTimeout": "40000",
	}
}

// Config says where a rig stands and what it breaks.
type Config struct {
	// Home is devstack's folder, Prepare brings schema and grants to a new database.
	Home    string
	Prepare func(context.Context, *devstack.Stack) error
	// Consumer is the program under test, built with the tag failpoints. Auditor is a
	// payment-consumer that nobody has tampered with: it is asked, not tested.
	Consumer, Auditor string
	// ConsumerArgs are the arguments of Consumer, if it needs any.
	ConsumerArgs []string
	// Folder gets the journal and the consumers' logs.
	Folder string
	// Seed makes the random choices repeatable.
	Seed uint64
	// Out is told what happens, a line each.
	Out io.Writer
	// Stack, if set, changes how the servers are set up.
	Stack func(*devstack.Options)
	// DrainLimit is how soon after the last fault everything must be decided (I12), the broker's
	// longest delay in force included; 180 s by default.
	DrainLimit time.Duration
	// Setup, if set, changes the database before anything starts: it makes room for programs
	// that are wrong in ways the schema would not allow.
	Setup string
}

// Rig is the system under test: real servers, a proxy before each, and consumers. Cases use its
// fields at will; what they break is mended after each case.
type Rig struct {
	Config
	Stack *devstack.Stack
	// The consumers reach the database through DatabaseLink and then Database, the cache through
	// Cache, the name server through NameServer and the broker through Broker.
	Database     *mysqlproxy.Proxy
	DatabaseLink *link.Link
	Cache        *link.Link
	NameServer   *link.Link
	Broker       *rocketmqproxy.Proxy

	// SQL is the administrator's way into the database and Redis the one into the cache, past
	// every proxy.
	SQL   *sql.DB
	Redis *redis.Client
	Admin *rocketmq.Admin

	Sender  *Sender
	Record  *Record
	Answers *audience.Audience
	Journal *Journal
	// Random is for the case that runs, and for nobody at the same time.
	Random *rand.Rand

	consumers []*Consumer
	launched  int
	sampler   *sampler
	seen      map[string]string // rows of earlier checks, by serial number (I10)
	saying    sync.Mutex
}

// Open starts servers, proxies, sender and sampler. No consumer runs yet. Close ends everything.
func Open(ctx context.Context, cfg Config) (r *Rig, err error) {
	if err := os.MkdirAll(cfg.Folder, 0o755); err != nil {
		return nil, err
	}
	cfg.DrainLimit = cmp.Or(cfg.DrainLimit, drainLimit)
	r = &Rig{
		Config: cfg, Record: &Record{}, seen: map[string]string{},
		Random: rand.New(rand.NewPCG(cfg.Seed, 2)),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.Journal, err = newJournal(filepath.Join(cfg.Folder, "journal.jsonl"), cfg.Seed); err != nil {
		return r, err
	}
	options := devstack.Options{
		Home: cfg.Home, Prepare: cfg.Prepare, ProxyHost: proxyHost, Broker: brokerSettings(),
	}
	if cfg.Stack != nil {
		cfg.Stack(&options)
	}
	if r.Stack, err = devstack.Start(ctx, options); err != nil {
		return r, err
	}
	if err := r.connect(ctx); err != nil {
		return r, err
	}
	if err := r.openAccounts(ctx); err != nil {
		return r, err
	}
	if err := r.proxies(); err != nil {
		return r, err
	}
	nameServer := r.Stack.Address(devstack.NameServer)
	name := fmt.Sprintf("%x", time.Now().UnixMilli()&0xffffff)
	if r.Sender, err = newSender(nameServer, name, cfg.Seed, r.Record); err != nil {
		return r, err
	}
	if r.Answers, err = audience.Listen(ctx, nameServer, "faults-audience"); err != nil {
		return r, err
	}
	r.sampler = startSampler(r)
	return r, nil
}

// connect makes the rig's own connections, past every proxy.
func (r *Rig) connect(ctx context.Context) (err error) {
	env := r.Stack.Variables()
	dsn, err := mysql.ParseDSN(env["PAYMENT_TEST_MYSQL_ROOT"] + env["PAYMENT_MYSQL_DATABASE"])
	if err != nil {
		return err
	}
	dsn.Timeout, dsn.ReadTimeout, dsn.MultiStatements = 5*time.Second, time.Minute, true
	dsn.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(dsn)
	if err != nil {
		return err
	}
	r.SQL = sql.OpenDB(connector)
	r.Redis = redis.NewClient(&redis.Options{
		Addr: r.Stack.Address(devstack.Redis), Password: env["PAYMENT_REDIS_PASSWORD"],
		DisableIdentity: true,
	})
	if r.Setup != "" {
		if _, err := r.SQL.ExecContext(ctx, r.Setup); err != nil {
			return fmt.Errorf("setup: %w", err)
		}
	}
	r.Admin, err = rocketmq.NewAdmin([]string{r.Stack.Address(devstack.NameServer)}, "", "")
	return err
}

func (r *Rig) proxies() (err error) {
	const anyPort = "127.0.0.1:0"
	r.Broker = r.Stack.Proxy()
	r.Database, err = mysqlproxy.Listen(anyPort, r.Stack.Address(devstack.MySQL))
	if err != nil {
		return err
	}
	if r.DatabaseLink, err = link.Listen(anyPort, r.Database.Addr()); err != nil {
		return err
	}
	if r.Cache, err = link.Listen(anyPort, r.Stack.Address(devstack.Redis)); err != nil {
		return err
	}
	r.NameServer, err = link.Listen(anyPort, r.Stack.Address(devstack.NameServer))
	return err
}

// Say tells whoever watches. It is safe for concurrent use.
func (r *Rig) Say(format string, args ...any) {
	r.saying.Lock()
	defer r.saying.Unlock()
	_, _ = fmt.Fprintf(r.Out, "    "+format+"\n", args...)
}

// Close ends the consumers, the servers and everything else, and says what did not end well.
func (r *Rig) Close() error {
	var problems []error
	note := func(err error) { problems = append(problems, err) }
	if r.sampler != nil {
		r.sampler.stop()
	}
	note(r.KillAll())
	if r.Answers != nil {
		note(r.Answers.Close())
	}
	if r.Sender != nil {
		note(r.Sender.close())
	}
	for _, l := range []*link.Link{r.DatabaseLink, r.Cache, r.NameServer} {
		if l != nil {
			note(l.Close())
		}
	}
	if r.Database != nil {
		note(r.Database.Close())
	}
	if r.SQL != nil {
		note(errors.Join(r.SQL.Close(), r.Redis.Close()))
	}
	if r.Stack != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		note(r.Stack.Close(ctx))
	}
	if r.Journal != nil {
		note(r.Journal.close())
	}
	return errors.Join(problems...)
}

// Mend takes back everything that a case can have broken, so that what remains is the service's
// own business.
func (r *Rig) Mend(ctx context.Context) error {
	var problems []error
	for _, l := range []*link.Link{r.DatabaseLink, r.Cache, r.NameServer} {
		problems = append(problems, l.Reset(), l.Up())
	}
	r.Database.Clear()
	r.Broker.Clear()
	problems = append(problems, r.Database.Up(), r.Broker.Up())
	for _, server := range []devstack.Server{
		devstack.NameServer, devstack.MySQL, devstack.Redis, devstack.Broker,
	} {
		running, _ := r.Stack.Running()
		if !slices.Contains(running, server) {
			problems = append(problems, r.Stack.Restart(ctx, server))
		} else {
			problems = append(problems, r.Stack.Continue(server))
		}
	}
	return errors.Join(problems...)
}

// Until waits for something to become true, with the case's own patience as the limit.
func Until(ctx context.Context, what string, limit time.Duration, holds func() bool) error {
	return devstack.Until(ctx, what, limit, holds)
}

// Together runs functions side by side and waits for all.
func Together(work ...func()) {
	var group sync.WaitGroup
	for _, one := range work {
		group.Go(one)
	}
	group.Wait()
}
