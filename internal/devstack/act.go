package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a program that runs beside the servers, such as a consumer. Whoever started it
// ends it.
type Process struct {
	process *process
	pages   *pages
}

// Run starts a program in the environment of Environ(env...); what it prints goes to the end of the
// file log.
func (s *Stack) Run(path, log string, args []string, env ...string) (*Process, error) {
	started, err := program{
		path: path, args: args, without: settings(), env: append(s.Env(), env...), dir: s.data,
		log: log,
	}.start(false)
	if err != nil {
		return nil, err
	}
	return &Process{process: started, pages: newPages(log)}, nil
}

// PID is the program's process number.
func (p *Process) PID() int { return p.process.id.PID }

// Alive reports whether the program runs.
func (p *Process) Alive() bool { return p.process.alive() }

// Signal sends sig; a program that has ended is no error.
func (p *Process) Signal(sig os.Signal) error { return p.process.signal(sig) }

// Exit returns how a program ended that is not alive any more: nil for status 0.
func (p *Process) Exit() error {
	<-p.process.done
	return p.process.exit
}

// Kill ends the program as a crash would and waits until it is gone.
func (p *Process) Kill() error { return p.process.kill() }

// Stop asks the program to end and waits for it; when ctx ends first the program is killed. A
// status other than 0 is an error as well, which has the last line of the program's log.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.process.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.process.wait(ctx); err != nil {
		return fmt.Errorf("%w; killed: %w", err, p.process.kill())
	}
	if p.process.exit != nil {
		return fmt.Errorf("%w; its last line: %s", p.process.exit, p.LastLine())
	}
	return nil
}

// PID is the process number of one of the stack's servers. It is 0 for one that does not run or is
// somebody else's.
func (s *Stack) PID(name Server) int {
	for _, one := range s.servers {
		if p := one.current(); one.name == name && p != nil && p.alive() {
			return p.id.PID
		}
	}
	return 0
}

// Query runs SQL on the stack's database as its administrator and returns the rows, a line each
// with tabs between columns. Only ctx bounds it.
func (s *Stack) Query(ctx context.Context, sql string) (string, error) {
	client, err := s.mysqlClient()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, client,
		"--defaults-file="+filepath.Join(s.dir("mysql"), "client.cnf"),
		"--batch", "--skip-column-names", "--execute", sql, database)
	cmd.SysProcAttr = ChildAttributes(false)
	cmd.WaitDelay = killTimeout
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", client, err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}

// CheckPrograms says whether programs of the project are there, in the folder of payment-lab.
func CheckPrograms(folder string, names ...string) error {
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return fmt.Errorf("%s is not beside payment-lab in %s: run make build", name, folder)
		}
	}
	return nil
}

// rowLimit bounds the wait for a lock of HoldRow, and for its release.
const rowLimit = time.Minute

// HoldRow runs a SELECT ... FOR UPDATE in a session of its own, which keeps its locks until release
// is called, or for two minutes. One is held at a time.
func (s *Stack) HoldRow(ctx context.Context, query string) (release func() error, err error) {
	holding, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Its error is that it was killed, or that there is no lock, which is noticed below.
		_, _ = s.Query(holding, "BEGIN; "+query+"; SELECT SLEEP(120)")
	}()
	const sleeping = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'"
	var session string
	if err := Until(ctx, "the row lock", rowLimit, func() bool {
		session, err = s.Query(ctx, sleeping)
		return err == nil && session != ""
	}); err != nil {
		cancel()
		<-done
		return nil, err
	}
	return func() error {
		killing, stop := context.WithTimeout(context.WithoutCancel(ctx), rowLimit)
		defer stop()
		_, err := s.Query(killing, "KILL "+strings.TrimSpace(session))
		cancel()
		<-done
		return err
	}, nil
}

// emptyCache removes the answers and nothing else: the server may be somebody's own.
const emptyCache = `local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', 'payment:*', 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do redis.call('DEL', key) end
until cursor == '0'`

// FlushCache removes every answer from the cache.
func (s *Stack) FlushCache(ctx context.Context) error {
	_, err := s.CacheCommand(ctx, "EVAL", emptyCache, "0")
	return err
}

// CacheCommand runs one command of Redis as its administrator and returns the first line of the
// answer.
func (s *Stack) CacheCommand(ctx context.Context, words ...string) (string, error) {
	conn, lines, err := dialRedis(ctx, s.Address(Redis), s.redisPassword())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	return resp(conn, lines, words...)
}
