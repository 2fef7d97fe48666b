package devstack_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq"
)

// patience bounds every wait; no test needs it unless it fails.
const patience = 5 * time.Minute

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newHome is an empty home that shares the servers' files with the run's own: so a test can
// tell the processes that it started from all others, by the folder they work in.
func newHome(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("PAYMENT_LAB_HOME")
	if shared == "" {
		const message = "PAYMENT_LAB_HOME is not set: needs the servers' files"
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	home := t.TempDir()
	servers := filepath.Join(shared, "servers")
	if err := os.Symlink(servers, filepath.Join(home, "servers")); err != nil {
		t.Fatal(err)
	}
	return home
}

func start(t *testing.T, opts devstack.Options) *devstack.Stack {
	t.Helper()
	stack, err := devstack.Start(bounded(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return stack
}

// leftovers returns the command lines of processes that were started for a home.
func leftovers(t *testing.T, home string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Skip("this system has no /proc to look for processes in")
	}
	var found []string
	for _, path := range paths {
		line, _ := os.ReadFile(path) // it may have ended meanwhile
		if strings.Contains(string(line), home) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func wantNothingLeft(t *testing.T, home string) {
	t.Helper()
	if found := leftovers(t, home); len(found) > 0 {
		t.Errorf("%d processes are left:\n%s", len(found), strings.Join(found, "\n"))
	}
	if folders, _ := filepath.Glob(filepath.Join(home, "tmp", "*")); len(folders) > 0 {
		t.Errorf("folders are left: %v", folders)
	}
}

func value(t *testing.T, stack *devstack.Stack, name string) string {
	t.Helper()
	for _, variable := range stack.Env() {
		if v, ok := strings.CutPrefix(variable, name+"="); ok {
			return v
		}
	}
	t.Fatalf("the environment has no %s", name)
	return ""
}

// TestStack lives through what the fault tests do to a stack, and the duplicate that the demo
// makes. It is one test because a stack takes seconds to start.
func TestStack(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	var mu sync.Mutex
	var steps []string
	stack := start(t, devstack.Options{
		Home:      home,
		ProxyHost: "127.0.0.2",
		MySQL:     map[string]string{"max-connections": "321"},
		Prepare: func(_ context.Context, s *devstack.Stack) error {
			return connects(s.Address(devstack.MySQL))
		},
		Progress: func(e devstack.Event) {
			mu.Lock()
			defer mu.Unlock()
			steps = append(steps, e.What)
		},
	})
	if len(leftovers(t, home)) != 4 {
		t.Errorf("a ready stack has these processes: %q", leftovers(t, home))
	}
	for _, want := range []string{"schema", "broker", "database", "cache", "name server"} {
		if !strings.Contains(strings.Join(steps, ","), want) {
			t.Errorf("no progress of %s in %q", want, steps)
		}
	}
	t.Run("OwnTemporaryFiles", func(t *testing.T) {
		folder, err := stack.Query(bounded(t), "SELECT @@tmpdir")
		if err != nil || !strings.HasPrefix(folder, home) {
			t.Errorf("the database's temporary files are in %q (%v), want them below %s",
				folder, err, home)
		}
	})
	t.Run("FlushCache", func(t *testing.T) { flushCache(t, stack) })
	t.Run("FurtherSettings", func(t *testing.T) {
		limit, err := stack.Query(bounded(t), "SELECT @@max_connections")
		if err != nil || limit != "321" {
			t.Errorf("max_connections is %q (%v), want what the options say", limit, err)
		}
	})
	t.Run("SendTimeDuplicate", func(t *testing.T) { sendTimeDuplicate(t, stack) })
	t.Run("KillAndRestart", func(t *testing.T) { killAndRestart(t, stack) })
	t.Run("PauseAndContinue", func(t *testing.T) { pauseAndContinue(t, stack) })
	t.Run("BackUpAndRestore", func(t *testing.T) { backUpAndRestore(t, stack) })
	t.Run("Close", func(t *testing.T) {
		if err := stack.Close(bounded(t)); err != nil {
			t.Error(err)
		}
		wantNothingLeft(t, home)
	})
}

// flushCache removes the answers, and what else is in the server stays: it may be somebody's own.
func flushCache(t *testing.T, stack *devstack.Stack) {
	ctx := bounded(t)
	for _, words := range [][]string{
		{"SET", "payment:PAY_1", "x"}, {"SET", "payment:PAY_2", "x"}, {"SET", "theirs", "x"},
	} {
		if _, err := stack.Redis(ctx, words...); err != nil {
			t.Fatal(err)
		}
	}
	if err := stack.FlushCache(ctx); err != nil {
		t.Fatal(err)
	}
	if left, err := stack.Redis(ctx, "EXISTS", "payment:PAY_1", "payment:PAY_2"); left != ":0" {
		t.Errorf("answers that are left: %s (%v)", left, err)
	}
	if left, err := stack.Redis(ctx, "EXISTS", "theirs"); left != ":1" {
		t.Errorf("somebody else's key: %s (%v)", left, err)
	}
}

func connects(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	return conn.Close()
}

// sendTimeDuplicate loses the broker's answer to one send: the client sends again by itself, and
// the broker has the message twice under one unique ID.
func sendTimeDuplicate(t *testing.T, stack *devstack.Stack) {
	ctx := bounded(t)
	nameServers := []string{value(t, stack, "PAYMENT_ROCKETMQ_NAME_SERVERS")}
	producer, err := rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: nameServers, Group: "devstack-test", SendTimeout: 2 * time.Second,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = producer.Close() }()

	lost := stack.Proxy().DropAnswer(devstack.OrderTopic)
	receipt, err := producer.Send(ctx, rocketmq.Outgoing{
		Topic: devstack.OrderTopic, Tag: "pay", Key: "ORDERID_1", Body: []byte("once"),
	})
	if err != nil {
		t.Fatalf("the second attempt must succeed: %v", err)
	}
	select {
	case <-lost:
	default:
		t.Fatal("the answer to the first attempt was not lost")
	}

	got := make(chan payment.Message, 10)
	consumer, err := rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: nameServers, Group: devstack.ConsumerGroup, Topic: devstack.OrderTopic,
	}, func(_ context.Context, m payment.Message) payment.Disposition {
		got <- m
		return payment.Acknowledge
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := consumer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Drain(ctx) }()
	type place struct {
		queue  int
		offset int64
	}
	places := make(map[place]bool)
	for range 2 {
		select {
		case m := <-got:
			places[place{m.Queue, m.Offset}] = true
			if m.ID != receipt.MessageID || string(m.Body) != "once" || m.Attempt != 1 {
				t.Errorf("got %+v, want the message with ID %s", m, receipt.MessageID)
			}
		case <-ctx.Done():
			t.Fatalf("the broker has stored the message %d times, want twice", len(places))
		}
	}
	if len(places) != 2 {
		t.Errorf("one stored message came twice, want two stored messages")
	}
}

func killAndRestart(t *testing.T, stack *devstack.Stack) {
	for _, name := range []devstack.Server{
		devstack.Redis, devstack.MySQL, devstack.NameServer, devstack.Broker,
	} {
		if err := stack.Kill(name); err != nil {
			t.Fatal(err)
		}
		if err := connects(stack.Address(name)); err == nil {
			t.Errorf("the %s still answers after kill -9", name)
		}
		if err := stack.Pause(name); err == nil {
			t.Errorf("a %s that has ended was paused", name)
		}
		if err := stack.Restart(bounded(t), name); err != nil {
			t.Fatal(err)
		}
		if err := connects(stack.Address(name)); err != nil {
			t.Errorf("the %s after its restart: %v", name, err)
		}
	}
	if err := stack.Kill("nobody"); err == nil {
		t.Error("a server that does not exist was killed")
	}
}

// pauseAndContinue ends a paused server in order, which it can only do when it is woken up.
func pauseAndContinue(t *testing.T, stack *devstack.Stack) {
	if err := stack.Pause(devstack.Redis); err != nil {
		t.Fatal(err)
	}
	if err := stack.Continue(devstack.Redis); err != nil {
		t.Fatal(err)
	}
	if err := stack.Pause(devstack.Redis); err != nil {
		t.Fatal(err)
	}
	if err := stack.Stop(bounded(t), devstack.Redis); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(stack.Data(), "logs", "redis.log"))
	if err != nil || !strings.Contains(string(said), "bye bye") {
		t.Errorf("the cache did not end in order (%v); its log:\n%s", err, said)
	}
	if err := stack.Restart(bounded(t), devstack.Redis); err != nil {
		t.Fatal(err)
	}
}

// backUpAndRestore takes the database back in time, twice to the same copy.
func backUpAndRestore(t *testing.T, stack *devstack.Stack) {
	query := func(sql string) string {
		t.Helper()
		out, err := stack.Query(bounded(t), sql)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := stack.Restore(bounded(t)); err == nil {
		t.Fatal("restored without a copy")
	}
	query("CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1)")
	if err := stack.BackUp(bounded(t)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := query("INSERT INTO kept VALUES (2); SELECT COUNT(*) FROM kept"); got != "2" {
			t.Errorf("%s rows before the restore, want 2", got)
		}
		if err := stack.Restore(bounded(t)); err != nil {
			t.Fatal(err)
		}
		if got := query("SELECT COUNT(*) FROM kept"); got != "1" {
			t.Errorf("%s rows after the restore, want 1", got)
		}
	}
}

// TestStart_CalledOff: a start that is called off at any moment leaves nothing.
func TestStart_CalledOff(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	for _, after := range []time.Duration{0, 50, 500, 1500, 3000} {
		ctx, cancel := context.WithTimeout(context.Background(), after*time.Millisecond)
		stack, err := devstack.Start(ctx, devstack.Options{Home: home})
		cancel()
		if err == nil {
			_ = stack.Close(context.Background()) // a fast machine: the earlier moments have to do
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("called off after %d ms: %v", after, err)
		}
		wantNothingLeft(t, home)
	}
}

// TestStart_PrepareFails: the other servers end too, and the error says what failed.
func TestStart_PrepareFails(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	broken := errors.New("no such column")
	_, err := devstack.Start(bounded(t), devstack.Options{
		Home:    home,
		Prepare: func(context.Context, *devstack.Stack) error { return broken },
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "schema") {
		t.Errorf("got %v, want the reason and that it is the schema's", err)
	}
	if found := leftovers(t, home); len(found) > 0 {
		t.Errorf("processes are left: %q", found)
	}
}
