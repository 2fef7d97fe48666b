// Package stage is the real system that the lab's page shows: servers, proxies before them,
// consumers, a producer of orders, and whoever looks at all of them. A button of the page is a
// method here, and does what it says: processes are killed, connections cut, servers stopped.
package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/textbook"
)

// patience bounds what happens soon unless something is wrong, on a busy machine too.
const patience = 60 * time.Second

// BrokerSettings shorten what would only make visitors wait: a message that is given back comes
// again after a second instead of ten, and the broker forgets a killed client, should it have
// missed the end of its connection, after 40 s instead of 120 s.
func BrokerSettings() map[string]string {
	return map[string]string{
		"messageDelayLevel":     "1s 1s 1s 1s 1s 2s 2s 2s 5s 5s 5s 10s 10s 10s 10s 10s 10s 10s",
		"channelExpiredTimeout": "40000",
	}
}

// Config says what to bring on.
type Config struct {
	// Stack runs, with a proxy before its broker.
	Stack *devstack.Stack
	// Programs is the folder that holds payment-consumer, and Self is payment-lab, which consumes
	// in the wrong orders of writes.
	Programs, Self string
	// Prepare brings schema, grants and accounts to an empty database.
	Prepare func(context.Context, *devstack.Stack) error
	// State is told of everything.
	State *lab.State
}

// Stage is the running system. Close ends all of it but the servers, which are its caller's.
type Stage struct {
	Config
	database *mysqlproxy.Proxy
	admin    *rocketmq.Admin
	producer *rocketmq.Producer
	reader   *rocketmq.ResultReader

	crew    crew
	changed chan struct{} // wakes the auditor: something has just happened
	stop    context.CancelFunc
	watch   sync.WaitGroup

	mu     sync.Mutex
	order  textbook.Order
	group  string // of the consumers
	groups int    // that were made
	// begin is where in the order topic the ledger begins.
	begin []rocketmq.QueueOffsets
	last  order.Order // that was sent, to send again
	made  int64       // orders
	name  string      // of this run, in the names of its orders

	ledger atomic.Int64 // counts them: up when one is about to go, and when the next is there

	// connection guards db, which is opened anew with each ledger, and what was read from it: aside
	// is the last message in quarantine that was told of.
	connection sync.Mutex
	db         *mysql.DB
	aside      int64
}

var _ lab.Stage = (*Stage)(nil)

// Open starts two consumers and begins to watch.
func Open(ctx context.Context, cfg Config) (s *Stage, err error) {
	s = &Stage{
		Config: cfg, order: textbook.Right, group: devstack.ConsumerGroup,
		changed: make(chan struct{}, 1), name: fmt.Sprintf("%X", time.Now().Unix()&0xfffff),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.connect(ctx); err != nil {
		return s, err
	}
	if s.begin, err = s.offsets(ctx); err != nil {
		return s, err
	}
	if err := s.hire(ctx, 2); err != nil {
		return s, err
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.observe(watch)
	return s, nil
}

// connect opens the lab's own connections. The consumers reach the database through a proxy.
func (s *Stage) connect(ctx context.Context) (err error) {
	rocketmq.QuietClientLogs(zap.NewNop())
	nameServers := []string{s.Stack.Address(devstack.NameServer)}
	s.database, err = mysqlproxy.Listen("127.0.0.1:0", s.Stack.Address(devstack.MySQL))
	if err != nil {
		return err
	}
	if s.admin, err = rocketmq.NewAdmin(nameServers, "", ""); err != nil {
		return err
	}
	s.producer, err = rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: nameServers, Group: "lab-producer",
	}, zap.NewNop())
	if err != nil {
		return err
	}
	reader, err := rocketmq.NewResultReader(rocketmq.ResultReaderConfig{
		NameServers: nameServers, Group: "lab-reader-" + s.name, Topic: devstack.ResultTopic,
	}, s.read, zap.NewNop())
	if err != nil {
		return err
	}
	if err := reader.Start(ctx); err != nil {
		return err
	}
	s.reader = reader
	return s.reconnect()
}

func (s *Stage) read(r order.Result, at rocketmq.ResultMeta) error {
	s.State.Answered(r, at.Queue, at.Offset)
	return nil
}

// reconnect opens the database. Connections that were opened before it was made anew are of no use.
func (s *Stage) reconnect() error {
	s.connection.Lock()
	defer s.connection.Unlock()
	env := s.Stack.Variables()
	db, err := mysql.Open(mysql.Config{
		Address: s.Stack.Address(devstack.MySQL), Database: env["PAYMENT_MYSQL_DATABASE"],
		User: env["PAYMENT_MYSQL_USER"], Password: env["PAYMENT_MYSQL_PASSWORD"], MaxOpen: 2,
	})
	if err != nil {
		return err
	}
	if s.db != nil {
		err = s.db.Close()
	}
	s.db, s.aside = db, 0
	return err
}

// withDB is for one look at the database.
func (s *Stage) withDB(look func(*mysql.DB) error) error {
	s.connection.Lock()
	defer s.connection.Unlock()
	return look(s.db)
}

// Close ends the watching and the consumers, at once, and the lab's connections.
func (s *Stage) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.watch.Wait()
	problems := []error{s.crew.killAll()}
	if s.reader != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		problems = append(problems, s.reader.Close(ctx))
	}
	if s.producer != nil {
		problems = append(problems, s.producer.Close())
	}
	if s.database != nil {
		problems = append(problems, s.database.Close())
	}
	if s.db != nil {
		problems = append(problems, s.db.Close())
	}
	return errors.Join(problems...)
}

// Do carries out an action.
func (s *Stage) Do(
	ctx context.Context, action string, in lab.Input, tell func(lab.Line),
) error {
	do := s.act(action)
	if do == nil {
		return fmt.Errorf("the stage has no %q", action)
	}
	err := do(ctx, in, tell)
	s.watchServers(ctx) // which decide what can be asked for next
	s.wake()
	return err
}

// deed is what a button does.
type deed func(ctx context.Context, in lab.Input, tell func(lab.Line)) error

func (s *Stage) act(action string) deed {
	return map[string]deed{
		lab.ActSend: s.send, lab.ActAgain: s.again, lab.ActLost: s.loseAnswer,
		lab.ActAltered: s.alter, lab.ActMalformed: s.malformed, lab.ActOverdraft: s.overdraw,
		lab.ActBurst: s.burst, lab.ActReplay: s.replay,
		lab.ActKill: s.kill, lab.ActAdd: s.add, lab.ActRemove: s.remove,
		lab.ActRace: s.race, lab.ActCut: s.cutCommit,
		lab.ActFlush:      s.flush,
		lab.ActStopRedis:  s.stopper(devstack.Redis),
		lab.ActStartRedis: s.starter(devstack.Redis),
		lab.ActStopMySQL:  s.stopper(devstack.MySQL), lab.ActStartMySQL: s.starter(devstack.MySQL),
		lab.ActStopBroker: s.stopper(devstack.Broker), lab.ActStartBroker: s.starter(devstack.Broker),
		lab.ActRight: s.writer(textbook.Right), lab.ActCacheWas: s.writer(textbook.CacheFirst),
		lab.ActCheckAct:          s.writer(textbook.CheckThenAct),
		lab.ActMessageID:         s.writer(textbook.MessageID),
		lab.ActQuarantineReplay:  s.settle("replay"),
		lab.ActQuarantineDiscard: s.settle("discard"),
	}[action]
}

// wake lets the auditor look at once.
func (s *Stage) wake() {
	select {
	case s.changed <- struct{}{}:
	default: // it is about to look anyway
	}
}

// logFile is where a consumer writes to. Each has one of its own: its address is looked up there.
func (s *Stage) logFile(name string) string {
	return filepath.Join(s.Stack.Data(), "logs", name+".log")
}

// program is the path of one of the programs.
func (s *Stage) program(name string) string { return filepath.Join(s.Programs, name) }

// CheckPrograms says whether the programs that the stage runs are there.
func CheckPrograms(folder string) error {
	return devstack.CheckPrograms(folder, "payment-consumer")
}
