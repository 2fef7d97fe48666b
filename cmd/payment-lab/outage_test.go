package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/payment/cmd/payment-lab/demo"
	"example.com/payment/internal/devstack"
)

// outage is how long a dependency stays away in the tests. It is longer than the broker's first
// redelivery delay (10 s), so that a message which was given back would be seen to come again;
// PAYMENT_TEST_OUTAGE=60s makes it the whole minute that the design promises.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("PAYMENT_TEST_OUTAGE")
	if text == "" {
		return 15 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PAYMENT_TEST_OUTAGE: %v", err)
	}
	return d
}

// site is a stack with one consumer.
type site struct {
	stack    *devstack.Stack
	programs string
	log      string
}

func openSite(t *testing.T) *site {
	t.Helper()
	home := newHome(t)
	programs := t.TempDir()
	out, err := exec.Command("go", "build", "-o", programs+"/", "../payment-consumer",
		"../order-producer").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	stack, err := devstack.Start(t.Context(), devstack.Options{Home: home, Prepare: prepare})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	log := filepath.Join(t.TempDir(), "consumer.log")
	s := &site{stack: stack, programs: programs, log: log}
	consumer, err := stack.Run(filepath.Join(programs, "payment-consumer"), log, nil,
		"PAYMENT_OPS_ADDRESS=127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := consumer.Kill(); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("the consumer's log:\n%s", text)
		}
	})
	eventually(t, s.ready)
	return s
}

// ready returns why the consumer is not ready, or nothing.
func (s *site) ready() string {
	if demo.Ready(context.Background(), s.log, 0) {
		return ""
	}
	return "the consumer is not ready"
}

func (s *site) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, name), args...)
	cmd.Env = append(os.Environ(), s.stack.Env()...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, problem.String())
	}
	return string(out)
}

// result is what these tests read of a result message.
type result struct {
	Serial  string `json:"serial_no"`
	Outcome string `json:"outcome"`
	Attempt int    `json:"attempt"`
}

// results reads all results so far, in a group of its own.
func (s *site) results(t *testing.T, group string) (list []result) {
	t.Helper()
	out := s.run(t, "order-producer", "results", "-o", "jsonl", "--group", group)
	for line := range strings.Lines(out) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		list = append(list, r)
	}
	return list
}

// survives sends orders while something is away, brings it back, and wants each order paid by
// the first delivery of its message.
func (s *site) survives(t *testing.T, away, back func() error) {
	t.Helper()
	if err := away(); err != nil {
		t.Fatal(err)
	}
	const orders = 100
	s.run(t, "order-producer", "load", "--orders", fmt.Sprint(orders), "--seed", "5")
	eventually(t, func() string {
		if s.ready() == "" {
			return "the consumer is ready although a dependency is away"
		}
		return ""
	})
	time.Sleep(outage(t)) // the length of the outage is what is tested
	if err := back(); err != nil {
		t.Fatal(err)
	}
	eventually(t, s.ready)
	eventually(t, func() string {
		count, err := s.stack.Query(t.Context(), "SELECT COUNT(*) FROM payments WHERE status = 'paid'")
		if err != nil || count != fmt.Sprint(orders) {
			return fmt.Sprintf("%s of %d orders are paid (%v)", count, orders, err)
		}
		return ""
	})
	paid := 0
	eventually(t, func() string {
		paid = 0
		for _, r := range s.results(t, fmt.Sprintf("outage-%d", time.Now().UnixNano())) {
			if r.Attempt != 1 {
				t.Fatalf("serial %s was redelivered: attempt %d", r.Serial, r.Attempt)
			}
			if r.Outcome == "paid" {
				paid++
			}
		}
		if paid < orders {
			return fmt.Sprintf("%d of %d results are there", paid, orders)
		}
		return ""
	})
	s.run(t, "payment-consumer", "audit")
}

// TestOutage_Database kills the database and starts it again.
func TestOutage_Database(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.survives(t,
		func() error { return s.stack.Kill(devstack.MySQL) },
		func() error { return s.stack.Restart(t.Context(), devstack.MySQL) })
}

// TestOutage_ResultTopic forbids writing to the result topic and allows it again.
func TestOutage_ResultTopic(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	permission := func(perm string) func() error {
		return func() error {
			java := exec.CommandContext(t.Context(), "java", "-Duser.home="+t.TempDir(), "-cp",
				filepath.Join(env(s.stack, "PAYMENT_TEST_LIB"), "*"),
				"org.apache.rocketmq.tools.command.MQAdminStartup", "updateTopicPerm",
				"-n", s.stack.Address(devstack.NameServer), "-b", s.stack.Address(devstack.Broker),
				"-t", devstack.ResultTopic, "-p", perm)
			if out, err := java.CombinedOutput(); err != nil || !strings.Contains(string(out), "success") {
				return fmt.Errorf("mqadmin updateTopicPerm: %w\n%s", err, out)
			}
			return nil
		}
	}
	const readOnly, readWrite = "4", "6"
	s.survives(t, permission(readOnly), permission(readWrite))
}

func env(stack *devstack.Stack, name string) string {
	for _, variable := range stack.Env() {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}
