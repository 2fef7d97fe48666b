package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/payment/internal/devstack/rocketmqproxy"
)

// startAttempts bounds how often a start is repeated because somebody took a port first.
const startAttempts = 3

// Stack is a set of servers that belong together. Different servers may be acted upon at the same
// time, one server by one caller; Close comes after all else.
type Stack struct {
	opts    Options
	data    string
	files   files
	secrets secrets
	ports   ports
	servers []*server
	proxy   *rocketmqproxy.Proxy

	mu sync.Mutex // guards the record file and calls of Progress
}

// Start brings the servers' files if they are missing, starts the servers side by side, and
// returns when all of them are ready. On an error, and when ctx ends first, no process is left.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	home, err := filepath.Abs(opts.Home)
	if err != nil {
		return nil, err
	}
	opts.Home = home
	if err := opts.check(); err != nil {
		return nil, err
	}
	sweep(filepath.Join(home, "tmp"))
	s := &Stack{opts: opts}
	if opts.Background {
		if kept, err := load(filepath.Join(home, "data")); err == nil {
			s.ports = kept.Ports
		}
	}
	if err = s.makeFolder(); err == nil {
		err = s.bringFiles(ctx)
	}
	if err == nil {
		err = s.startWithPorts(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, s.discard())
		}
		// Otherwise the logs stay, for whoever reads the error, until the next start sweeps.
		return nil, err
	}
	return s, nil
}

// makeFolder makes the data folder, and leaves in it who is at work there before anything else.
func (s *Stack) makeFolder() error {
	s.data = filepath.Join(s.opts.Home, "data")
	if !s.opts.Background {
		if err := os.MkdirAll(filepath.Join(s.opts.Home, "tmp"), 0o755); err != nil {
			return err
		}
		dir, err := os.MkdirTemp(filepath.Join(s.opts.Home, "tmp"), "stack-")
		if err != nil {
			return err
		}
		s.data = dir
	}
	for _, name := range []string{"logs", "mysql", "redis", "rocketmq"} {
		if err := os.MkdirAll(s.dir(name), 0o700); err != nil {
			return err
		}
	}
	secrets, err := loadSecrets(s.dir("secrets"))
	s.secrets = secrets
	if err != nil {
		return err
	}
	return s.save()
}

func (s *Stack) bringFiles(ctx context.Context) error {
	begin := time.Now()
	s.files = filesAt(s.opts.Home)
	if !s.files.needed(s.opts.External) {
		return nil
	}
	if !s.files.present() {
		s.tell(Event{
			Pending: true, What: "files",
			Detail: "Maven brings the servers' files, 240 MB, once",
		})
	}
	files, err := fetchFiles(ctx, s.opts.Home)
	if err != nil {
		return err
	}
	s.files = files
	s.report("files", files.dir, begin)
	return nil
}

func (s *Stack) startWithPorts(ctx context.Context) error {
	if host := s.opts.ProxyHost; host != "" && !portFree(host, 0) {
		return fmt.Errorf("%s is not an address of this machine: %s", host, remedyLoopback(host))
	}
	var err error
	for range startAttempts {
		if s.ports, err = pickPorts(s.ports, s.opts.ProxyHost); err != nil {
			return err
		}
		if err = s.startServers(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// startServers starts all servers side by side. If one fails, the others end.
func (s *Stack) startServers(ctx context.Context) error {
	servers, err := s.describe(ctx)
	if err != nil {
		return err
	}
	s.servers = servers
	if s.opts.ProxyHost != "" {
		listen := address(s.opts.ProxyHost, s.ports.Broker)
		s.proxy, err = rocketmqproxy.Listen(listen, address(loopback, s.ports.Broker))
		if err != nil {
			return fmt.Errorf("the proxy before the broker: %w: %w", errPortTaken, err)
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, one := range s.servers {
		group.Go(func() error { return s.startOne(groupCtx, one) })
	}
	if err := group.Wait(); err != nil {
		return errors.Join(err, s.killAll())
	}
	return nil
}

func (s *Stack) startOne(ctx context.Context, one *server) error {
	begin := time.Now()
	if err := one.start(ctx, s.opts.Background, s.save); err != nil {
		return err
	}
	if err := one.await(ctx); err != nil {
		return err
	}
	s.report(string(one.name), one.addr, begin)
	return nil
}

type describer func(context.Context) (*server, error)

func either(external bool, theirs, ours describer) describer {
	if external {
		return theirs
	}
	return ours
}

// describe says how to start each server. It writes their configurations.
func (s *Stack) describe(ctx context.Context) ([]*server, error) {
	e := s.opts.External
	var all []*server
	for _, describe := range []describer{
		either(e.rocketmqGiven(), s.externalNameServer, s.nameServer),
		either(e.rocketmqGiven(), s.externalBroker, s.broker),
		either(e.mysqlGiven(), s.externalMySQL, s.mysql),
		either(e.redisGiven(), s.externalRedis, s.redis),
	} {
		one, err := describe(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	for _, one := range all {
		if one.name == MySQL {
			one.settled = s.prepareSchema
		}
	}
	return all, nil
}

func (s *Stack) prepareSchema(ctx context.Context) error {
	if s.opts.Prepare == nil {
		return nil
	}
	begin := time.Now()
	if err := s.opts.Prepare(ctx, s); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	s.report("schema", "", begin)
	return nil
}

// Proxy returns the proxy before the broker, or nil without Options.ProxyHost.
func (s *Stack) Proxy() *rocketmqproxy.Proxy { return s.proxy }

// Address returns where a server listens.
func (s *Stack) Address(name Server) string {
	for _, one := range s.servers {
		if one.name == name {
			return one.addr
		}
	}
	return ""
}

// Data is the folder of this stack's data, configurations and logs.
func (s *Stack) Data() string { return s.data }

// Stop ends one server in order, like an operator would.
func (s *Stack) Stop(ctx context.Context, name Server) error {
	return s.with(name, func(one *server) error { return one.stop(ctx) })
}

// Kill ends one server like a crash would.
func (s *Stack) Kill(name Server) error { return s.with(name, (*server).kill) }

// Pause stops one server in the middle of whatever it does, until Continue.
func (s *Stack) Pause(name Server) error {
	return s.with(name, func(one *server) error { return one.signal(syscall.SIGSTOP) })
}

// Continue lets a paused server go on.
func (s *Stack) Continue(name Server) error {
	return s.with(name, func(one *server) error { return one.signal(syscall.SIGCONT) })
}

// Restart starts a server that ended, on the same address and data, and waits until it is ready.
// One that runs is ended in order first.
func (s *Stack) Restart(ctx context.Context, name Server) error {
	return s.with(name, func(one *server) error {
		if err := one.stop(ctx); err != nil {
			return err
		}
		if err := s.startOne(ctx, one); err != nil || name != NameServer {
			return err
		}
		// A name server begins with no memory; its restart is over when clients find the topics.
		return s.waitTopics(ctx)
	})
}

func (s *Stack) waitTopics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return poll(ctx, s.topicsReady)
}

func (s *Stack) with(name Server, do func(*server) error) error {
	for _, one := range s.servers {
		if one.name != name {
			continue
		}
		if one.external {
			return fmt.Errorf("the %s at %s is not ours to signal", name, one.addr)
		}
		return do(one)
	}
	return fmt.Errorf("the stack has no %q", name)
}

// Close ends every server of the stack, and at once when ctx ends. The servers of a foreground
// stack are killed right away, because their data goes with them.
func (s *Stack) Close(ctx context.Context) error {
	if !s.opts.Background {
		return errors.Join(s.killAll(), s.discard())
	}
	return errors.Join(s.eachServer(func(one *server) error { return one.stop(ctx) }), s.save())
}

// killAll ends all servers at once and closes the proxy.
func (s *Stack) killAll() error {
	err := s.eachServer((*server).kill)
	if s.proxy != nil {
		err = errors.Join(err, s.proxy.Close())
		s.proxy = nil
	}
	return err
}

// Keep leaves the stack's folder when the stack ends.
func (s *Stack) Keep() error {
	s.opts.KeepData = true
	return s.save()
}

func (s *Stack) eachServer(do func(*server) error) error {
	problems := make([]error, len(s.servers))
	var wait sync.WaitGroup
	for i, one := range s.servers {
		wait.Go(func() { problems[i] = do(one) })
	}
	wait.Wait()
	return errors.Join(problems...)
}

// discard removes the folder of a foreground stack.
func (s *Stack) discard() error {
	if s.opts.Background || s.opts.KeepData || s.data == "" {
		return nil
	}
	return os.RemoveAll(s.data)
}

func (s *Stack) report(what, detail string, begin time.Time) {
	s.tell(Event{What: what, Detail: detail, Took: time.Since(begin)})
}

func (s *Stack) tell(e Event) {
	if s.opts.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Progress(e)
}

func (s *Stack) dir(name string) string { return filepath.Join(s.data, name) }

func (s *Stack) logFile(name string) string { return filepath.Join(s.dir("logs"), name+".log") }
