package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/rocketmq"
	"example.com/payment/internal/rocketmq/rocketmqtest"
)

// runMain makes the test binary be the program, so that tests can start real processes.
const runMain = "PAYMENT_TEST_RUN_MAIN"

// TestMain looks for leaked goroutines.
func TestMain(m *testing.M) {
	if os.Getenv(runMain) == "1" {
		main()
	}
	rocketmq.QuietClientLogs(zap.NewNop())
	goleak.VerifyTestMain(m, rocketmqtest.Leaks()...)
}

// fakeBroker remembers what was sent and answers as it is told.
type fakeBroker struct {
	// answer gives the error of the n-th send, counted from 1; nil acknowledges everything.
	answer func(n int, out rocketmq.Outgoing) error

	mu     sync.Mutex
	sent   []rocketmq.Outgoing
	closed int
}

func (b *fakeBroker) Send(_ context.Context, out rocketmq.Outgoing) (rocketmq.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if out.ID == "" {
		out.ID = fmt.Sprintf("M%06d", len(b.sent)+1)
	}
	b.sent = append(b.sent, out)
	receipt := rocketmq.Receipt{MessageID: out.ID}
	if b.answer != nil {
		if err := b.answer(len(b.sent), out); err != nil {
			return receipt, err
		}
	}
	receipt.Queue, receipt.Offset = 3, int64(len(b.sent))
	return receipt, nil
}

func (b *fakeBroker) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

// result is what one run of the program left behind.
type result struct {
	stdout, stderr string
	status         int
}

// setup is a program with a broker of its own.
type setup struct {
	broker  *fakeBroker
	environ []string
	stdin   io.Reader
	ctx     context.Context //nolint:containedctx // each setup is one test's
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &setup{broker: &fakeBroker{}, stdin: strings.NewReader(""), ctx: ctx}
}

func (s *setup) run(args ...string) result {
	var stdout, stderr bytes.Buffer
	a := &app{
		Streams: cli.Streams{Stdout: &stdout, Stderr: &stderr},
		stdin:   s.stdin, environ: s.environ,
		dial: func(context.Context, config.Producer, *zap.Logger) (broker, error) {
			return s.broker, nil
		},
	}
	root := a.command()
	root.SetArgs(args)
	status := a.Report(root.Name(), root.ExecuteContext(s.ctx))
	return newResult(stdout.String(), stderr.String(), status)
}

// progressLine is a line that says how far a load has come.
var progressLine = regexp.MustCompile(`(?m)^order-producer: .* failed, .* unknown, .* a second\n`)

// newResult leaves the progress out: whether there is any depends on how long the machine takes.
func newResult(stdout, stderr string, status int) result {
	return result{stdout, progressLine.ReplaceAllString(stderr, ""), status}
}

// want checks the exit status.
func (r result) want(t *testing.T, status int) result {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d\nstdout: %s\nstderr: %s", r.status, status, r.stdout, r.stderr)
	}
	return r
}

// read decodes one JSON value strictly.
func read[T any](t *testing.T, text string) (v T) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// readJournal reads a journal's lines.
func readJournal(t *testing.T, path string) (entries []entry) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		entries = append(entries, read[entry](t, line))
	}
	return entries
}
