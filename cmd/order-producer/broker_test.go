package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq"
)

// patience bounds every wait for a broker.
const patience = 3 * time.Minute

// servers are the real ones, with topics of the test's own.
type servers struct {
	admin                 *rocketmq.Admin
	nameServers           []string
	orders, results, name string
}

func needServers(t *testing.T) servers {
	t.Helper()
	list, address := os.Getenv(rocketmq.NameServersSetting), os.Getenv("PAYMENT_TEST_BROKER")
	if list == "" || address == "" {
		message := rocketmq.NameServersSetting + " and PAYMENT_TEST_BROKER are not set: needs a broker"
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	s := servers{nameServers: strings.Split(list, ","), name: "op" + rand.Text()[:10]}
	s.orders, s.results = s.name+"-orders", s.name+"-results"
	var err error
	if s.admin, err = rocketmq.NewAdmin(s.nameServers, "", ""); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{s.orders, s.results} {
		eventually(t, "topic "+topic, func() error {
			return s.admin.CreateTopic(patient(t), address, topic, 4)
		})
	}
	return s
}

// eventually repeats what a busy broker may refuse, or not answer in time.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx := patient(t)
	err := try()
	for ; err != nil && ctx.Err() == nil; err = try() {
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("waited %v in vain for %s: %v", patience, what, err)
	}
}

func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// command is the program as a process of its own.
func (s servers) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(patient(t), os.Args[0], args...)
	// Its exit status is its own, also when the race detector has something to say of the client. A
	// message whose answer is late would be sent again, and be there twice.
	cmd.Env = append(os.Environ(), runMain+"=1", "GORACE=exitcode=0",
		"PAYMENT_ROCKETMQ_TOPIC="+s.orders, "PAYMENT_ROCKETMQ_RESULT_TOPIC="+s.results,
		"PAYMENT_ROCKETMQ_RESULTS_GROUP="+s.name, "PAYMENT_ROCKETMQ_SEND_TIMEOUT_MS=60000")
	return cmd
}

// run runs the program to its end.
func (s servers) run(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, s.command(t, args...), (*exec.Cmd).Run)
}

// finish collects what the process says while it is driven.
func finish(t *testing.T, cmd *exec.Cmd, drive func(cmd *exec.Cmd) error) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := drive(cmd)
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	for _, race := range faults.OwnRaces(stderr.String()) {
		t.Errorf("a data race: %s", race)
	}
	return newResult(stdout.String(), faults.WithoutRaces(stderr.String()),
		cmd.ProcessState.ExitCode())
}

// consume reads the orders' topic until so many different messages have come.
func (s servers) consume(t *testing.T, wanted int) map[string]payment.Message {
	t.Helper()
	var mu sync.Mutex
	got := map[string]payment.Message{}
	enough := make(chan struct{})
	c, err := rocketmq.NewConsumer(rocketmq.ConsumerConfig{
		NameServers: s.nameServers, Group: s.name + "-reader", Topic: s.orders, Tag: "pay",
		MaxCached: 65535, ConsumeTimeout: time.Hour, // or the client's own races are this test's
	}, func(_ context.Context, m payment.Message) payment.Disposition {
		mu.Lock()
		defer mu.Unlock()
		before := len(got)
		got[m.ID] = m
		if before < wanted && len(got) == wanted {
			close(enough)
		}
		return payment.Acknowledge
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-enough:
	case <-patient(t).Done():
	}
	if err := c.Drain(patient(t)); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != wanted {
		t.Fatalf("%d different messages in the topic, want %d", len(got), wanted)
	}
	return got
}

// TestBroker_Send: what send, load and an interrupted load call acknowledged is in the topic,
// with the Key, the tag and the content that they say, and nothing else is.
func TestBroker_Send(t *testing.T) {
	t.Parallel()
	s := needServers(t)
	one := read[sent](t, s.run(t, "send", "--payer", "user-1", "--payee", "shop-1",
		"--amount", "19.99", "-o", "json").want(t, 0).stdout)
	folder := t.TempDir()
	path, cut := filepath.Join(folder, "journal"), filepath.Join(folder, "cut")
	loaded := read[summary](t, s.run(t, "load", "--orders", "200", "--repeat", "20%", "--alter", "10%",
		"--malform", "10%", "--journal", path, "-o", "json").want(t, 0).stdout)
	if loaded.counts != allOf(280) {
		t.Fatalf("got %+v", loaded)
	}
	stopped := read[summary](t, s.interrupted(t, cut).want(t, 130).stdout)
	fates := map[string]entry{}
	for _, e := range append(readJournal(t, path), readJournal(t, cut)...) {
		if e.Status == acknowledged {
			fates[e.MessageID] = e
		}
	}
	if len(fates) != 280+stopped.Acknowledged || stopped.Messages != stopped.Acknowledged {
		t.Errorf("%d in the journals, and the interrupted load says %+v", len(fates), stopped)
	}
	got := s.consume(t, 1+len(fates))
	if m, ok := got[one.MessageID]; !ok || m.Key != one.OrderID || m.Queue != *one.Queue ||
		m.Offset != *one.Offset {
		t.Errorf("sent %+v, got %+v", one, m)
	}
	for id, e := range fates {
		m, ok := got[id]
		if !ok {
			t.Fatalf("lost: %+v", e)
		}
		o, err := order.Decode(m.Key, m.Body, order.DefaultLimits())
		if e.Kind == malformed {
			if err == nil || m.Key != e.OrderID {
				t.Errorf("%+v, got %+v", e, m)
			}
			continue
		}
		if err != nil || string(o.ID) != e.OrderID || string(o.Serial) != e.Serial ||
			o.Amount.Minor != e.Amount {
			t.Errorf("%+v, got %+v, %v", e, o, err)
		}
	}
}

// interrupted starts a load and interrupts it when it has sent a few messages.
func (s servers) interrupted(t *testing.T, path string) result {
	t.Helper()
	cmd := s.command(t, "load", "--orders", "100000", "--rate", "50", "--journal", path, "-o", "json")
	return finish(t, cmd, func(cmd *exec.Cmd) error {
		if err := cmd.Start(); err != nil {
			return err
		}
		for ctx := patient(t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if text, err := os.ReadFile(path); err == nil && bytes.Count(text, []byte("\n")) > 20 {
				break
			}
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			return err
		}
		return cmd.Wait()
	})
}

// TestBroker_Results: the backlog is read once, and another group reads it again.
func TestBroker_Results(t *testing.T) {
	t.Parallel()
	s := needServers(t)
	results, err := rocketmq.NewResults(rocketmq.ResultsConfig{
		Producer: rocketmq.ProducerConfig{
			NameServers: s.nameServers, Group: s.name + "-sender", SendTimeout: time.Minute,
		},
		Topic: s.results,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for _, serial := range []order.Serial{"P1", "P2", "P3"} {
		err := results.Send(patient(t), order.Result{
			OrderID: "O1", Serial: serial, Outcome: order.Paid, DecidedAt: time.Now(),
			DecidedBy: "transaction", MessageID: "M\x1b[2J", Attempt: 1, Instance: "test",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}
	r := s.run(t, "results", "-o", "jsonl").want(t, 0)
	serials := map[order.Serial]bool{}
	for line := range strings.Lines(r.stdout) {
		decoded, err := order.DecodeResult([]byte(line))
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		serials[decoded.Serial] = true
	}
	if len(serials) != 3 {
		t.Errorf("got %q", r.stdout)
	}
	eventually(t, "what was read to be known at the broker", s.nothingLeft)
	r = s.run(t, "results").want(t, 0)
	if r.stdout != "" || !strings.Contains(r.stderr, "has read all results") {
		t.Errorf("the second time: %q, %q", r.stdout, r.stderr)
	}
	r = s.run(t, "results", "--group", s.name+"-again", "--serial", "P2").want(t, 0)
	if strings.Count(r.stdout, "\n") != 1 || !strings.Contains(r.stdout, `serial P2`) ||
		!strings.Contains(r.stdout, `message "M\x1b[2J"`) {
		t.Errorf("another group: %q", r.stdout)
	}
}

// nothingLeft says whether the broker knows that all results were read: readers tell it, and wait
// for no answer.
func (s servers) nothingLeft() error {
	queues, err := s.admin.Offsets(context.Background(), s.name, s.results)
	for _, q := range queues {
		if q.Backlog() > 0 {
			return fmt.Errorf("%d results are left", q.Backlog())
		}
	}
	return err
}

// TestBroker_Mistakes: a wrong address and a wrong topic are one line and not one for each order.
func TestBroker_Mistakes(t *testing.T) {
	t.Parallel()
	s := needServers(t)
	for _, test := range []struct {
		want string
		args []string
	}{
		{"PAYMENT_ROCKETMQ_TOPIC", []string{"load", "--rocketmq-topic", s.name + "-none"}},
		{"PAYMENT_ROCKETMQ_RESULT_TOPIC",
			[]string{"results", "--rocketmq-result-topic", s.name + "-none"}},
		{"is RocketMQ running", []string{"load", "--rocketmq-name-servers", "127.0.0.1:1"}},
		{"is RocketMQ running", []string{"results", "--rocketmq-name-servers", "127.0.0.1:1"}},
	} {
		r := s.run(t, test.args...).want(t, 1)
		if strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, test.want) ||
			r.stdout != "" {
			t.Errorf("%q: %q, %q", test.args, r.stdout, r.stderr)
		}
	}
}
