package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/payment/internal/cli"
)

// patience is how long a test waits for something to happen. It ends as soon as it has, so it is
// only long for what never happens.
const patience = 3 * time.Minute

// built is where the binaries under test are, once a test has needed them.
var built string

// programs builds the binaries under test, once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "payment-e2e-")
	if err != nil {
		return "", err
	}
	built = folder
	out, err := exec.Command("go", "build", "-o", folder+"/", "../payment-consumer",
		"../order-producer").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	status := m.Run()
	_ = os.RemoveAll(built) // nothing, when no test needed them
	os.Exit(status)
}

// requireStack skips a test when there are no servers, and fails it when there must be.
func requireStack(t *testing.T) {
	t.Helper()
	if os.Getenv("PAYMENT_TEST_BROKER") != "" {
		return
	}
	if os.Getenv("PAYMENT_TEST_REQUIRE") != "" {
		t.Fatal("PAYMENT_TEST_BROKER is not set, and PAYMENT_TEST_REQUIRE says that servers must be there")
	}
	t.Skip("needs the real servers: run make test")
}

func program(t *testing.T, name string) string {
	t.Helper()
	folder, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}

// outcome is what a program that ended left behind.
type outcome struct {
	stdout, stderr string
	status         int
}

// lines is what a person sees of an error.
func (o outcome) lines() []string {
	return strings.Split(strings.TrimSpace(o.stderr), "\n")
}

// run runs a program to its end. A value in env replaces the stack's; "NAME=" clears it.
func run(t *testing.T, name string, env []string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %v did not end: %s", name, args, stderr.String())
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// mustRun is run for what has to work.
func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	o := run(t, name, nil, args...)
	if o.status != 0 {
		t.Fatalf("%s %v: status %d\n%s%s", name, args, o.status, o.stdout, o.stderr)
	}
	return o.stdout
}

// loadProcess is an order-producer at work.
type loadProcess struct {
	cmd     *exec.Cmd
	printed *safeBuffer
	wait    func() error
}

// startLoad begins to send orders.
func startLoad(t *testing.T, args ...string) *loadProcess {
	t.Helper()
	l := &loadProcess{
		cmd: exec.CommandContext(t.Context(), program(t, "order-producer"),
			append([]string{"load"}, args...)...),
		printed: &safeBuffer{},
	}
	l.cmd.Stdout, l.cmd.Stderr = l.printed, l.printed
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.wait = sync.OnceValue(l.cmd.Wait)
	t.Cleanup(func() { _ = l.wait() }) // the test's context has ended it
	return l
}

// sent waits until all orders are sent.
func (l *loadProcess) sent(t *testing.T) {
	t.Helper()
	if err := l.wait(); err != nil {
		t.Fatalf("%v: %v\n%s", l.cmd, err, l.printed.String())
	}
}

// interrupt ends a load that would go on, and waits for what is under way.
func (l *loadProcess) interrupt(t *testing.T) {
	t.Helper()
	if err := l.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatalf("the load has ended by itself: %v\n%s", err, l.printed.String())
	}
	var ended *exec.ExitError
	if err := l.wait(); !errors.As(err, &ended) || ended.ExitCode() != cli.ExitSignaled {
		t.Fatalf("%v, interrupted: %v\n%s", l.cmd, err, l.printed.String())
	}
}

// consumerProcess is a running payment-consumer.
type consumerProcess struct {
	cmd  *exec.Cmd
	log  *safeBuffer
	done chan struct{}
}

// safeBuffer collects what a process prints while others read it.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startConsumer starts a consumer and waits until it is ready. The test's end is its end, in order
// if it can: else its messages would come again in the middle of the next test.
func startConsumer(t *testing.T, env ...string) *consumerProcess {
	t.Helper()
	return startConsumerAt(t, program(t, "payment-consumer"), env...)
}

// startConsumerAt is startConsumer for another build of it.
func startConsumerAt(t *testing.T, path string, env ...string) *consumerProcess {
	t.Helper()
	c := &consumerProcess{
		cmd: exec.Command(path, "--log-level", "debug"),
		log: &safeBuffer{}, done: make(chan struct{}),
	}
	c.cmd.Env = append(append(os.Environ(), "PAYMENT_OPS_ADDRESS=127.0.0.1:0"), env...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the status is in ProcessState
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		c.awaitEnd(t)
		if t.Failed() {
			t.Logf("end of the log of consumer %d:\n%s", c.cmd.Process.Pid, tail(c.log.String()))
		}
	})
	await(t, "the consumer to be ready", c.ready)
	return c
}

func tail(text string) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

func (c *consumerProcess) ready() bool {
	_, status := c.get("/readyz")
	return status == http.StatusOK
}

// get asks for a page that the consumer serves to operators; the status is 0 without an answer.
func (c *consumerProcess) get(path string) (page string, status int) {
	found := regexp.MustCompile(`"ops":"([^"]+)"`).FindStringSubmatch(c.log.String())
	if found == nil {
		return "", 0
	}
	response, err := http.Get("http://" + found[1] + path)
	if err != nil {
		return "", 0
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0
	}
	return string(text), response.StatusCode
}

// kill ends the consumer as a crash would.
func (c *consumerProcess) kill(t *testing.T) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.done
}

// stop asks the consumer to end and returns its exit status.
func (c *consumerProcess) stop(t *testing.T) int {
	t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.awaitEnd(t)
	return c.cmd.ProcessState.ExitCode()
}

// awaitEnd waits for the end that was asked for, and brings it about if it does not come.
func (c *consumerProcess) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Error("the consumer did not end after SIGTERM")
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// await waits until something is true.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// message is one line of order-producer's journal.
type message struct {
	Kind      string `json:"kind"`
	OrderID   string `json:"order_id"`
	Serial    string `json:"serial_no"`
	MessageID string `json:"message_id"`
	Status    string `json:"status"`
}

func readJournal(t *testing.T, path string) (messages []message) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if m.Status == "acknowledged" {
			messages = append(messages, m)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return messages
}

// audit runs the audit, which must find nothing.
func audit(t *testing.T) {
	t.Helper()
	o := run(t, "payment-consumer", nil, "audit")
	if o.status != 0 {
		t.Errorf("audit: status %d\n%s%s", o.status, o.stdout, o.stderr)
	}
}
