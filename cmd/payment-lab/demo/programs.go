package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
)

// consumer is a payment-consumer process.
type consumer struct {
	process *devstack.Process
	log     string
	begins  int64 // where in the log this run begins
}

// startConsumers starts consumers side by side and waits until all of them are ready.
func (s *show) startConsumers(ctx context.Context, names ...string) error {
	for _, name := range names {
		log := filepath.Join(s.Stack.Data(), "logs", "consumer-"+name+".log")
		var begins int64
		if info, err := os.Stat(log); err == nil {
			begins = info.Size()
		}
		process, err := s.Stack.Run(s.program("payment-consumer"), log, nil,
			"PAYMENT_OPS_ADDRESS=127.0.0.1:0",
			// One scene holds a row lock until another consumer has started. Who waits for it gives
			// messages back to the broker sooner than that on a busy machine, with the usual 3 s.
			"PAYMENT_MYSQL_LOCK_WAIT_TIMEOUT_SECONDS=15", "PAYMENT_MYSQL_READ_TIMEOUT_SECONDS=18")
		if err != nil {
			return err
		}
		s.consumers[name] = &consumer{process: process, log: log, begins: begins}
	}
	for _, name := range names {
		c := s.consumers[name]
		err := until(ctx, "consumer "+name+" to be ready", func() bool {
			return !c.process.Alive() || Ready(ctx, c.log, c.begins)
		})
		if err == nil && !c.process.Alive() {
			err = fmt.Errorf("it ended by itself: %s", lastLine(c.log))
		}
		if err != nil {
			return fmt.Errorf("consumer %s: %w; its log is %s", name, err, c.log)
		}
		s.say("consumer %s is ready (process %d)", name, c.process.PID())
	}
	return nil
}

// lastLine is what a program said last.
func lastLine(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// opsAddress is how a consumer's log says where it serves its health. The consumer picks a free
// port itself: one that somebody else picked could be anybody's by the time it is used.
var opsAddress = regexp.MustCompile(`"ops":"([^"]+)"`)

// Ready reports whether the consumer that writes this log, from the given place on, is ready.
func Ready(ctx context.Context, log string, begins int64) bool {
	text, err := os.ReadFile(log)
	if err != nil || int64(len(text)) < begins {
		return false
	}
	found := opsAddress.FindSubmatch(text[begins:])
	if found == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	url := "http://" + string(found[1]) + "/readyz"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// stopConsumer ends a consumer in order, which must be an exit status of 0.
func (s *show) stopConsumer(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := s.consumers[name]
	if err := c.process.Stop(ctx); err != nil {
		return fmt.Errorf("consumer %s did not end in order: %w; its log is %s", name, err, c.log)
	}
	delete(s.consumers, name)
	s.say("consumer %s finished what it had begun and ended with status 0", name)
	return nil
}

func (s *show) killConsumers() (err error) {
	for _, c := range s.consumers {
		err = errors.Join(err, c.process.Kill())
	}
	return err
}

// sent is one message as order-producer reports it.
type sent struct {
	Kind      string `json:"kind"`
	OrderID   string `json:"order_id"`
	Serial    string `json:"serial_no"`
	MessageID string `json:"message_id"`
	Status    string `json:"status"`
}

// send runs order-producer send and returns the message that the broker acknowledged.
func (s *show) send(ctx context.Context, args ...string) (sent, error) {
	out, err := s.produce(ctx, append([]string{"send", "-o", "json"}, args...)...)
	if err != nil {
		return sent{}, err
	}
	var m sent
	if err := json.Unmarshal(out, &m); err != nil || m.MessageID == "" {
		return sent{}, fmt.Errorf("order-producer send printed %q: %w", out, err)
	}
	s.sent[m.MessageID] = m
	return m, nil
}

// load runs order-producer load and returns the messages that the broker acknowledged.
func (s *show) load(ctx context.Context, name string, args ...string) ([]sent, error) {
	journal := filepath.Join(s.Stack.Data(), name+".jsonl")
	args = append([]string{"load", "--journal", journal, "-o", "json"}, args...)
	if _, err := s.produce(ctx, args...); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(journal)
	if err != nil {
		return nil, err
	}
	var messages []sent
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var m sent
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s: %w", journal, err)
		}
		if m.Status == "acknowledged" {
			messages = append(messages, m)
			s.sent[m.MessageID] = m
		}
	}
	return messages, lines.Err()
}

func (s *show) produce(ctx context.Context, args ...string) ([]byte, error) {
	return s.output(ctx, "order-producer", args...)
}

// output runs a program to its end and returns what it printed.
func (s *show) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program(name), args...)
	cmd.Env = s.Stack.Environ()
	var problem bytes.Buffer
	cmd.Stderr = &problem
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w: %s", name, args[0], err,
			strings.TrimSpace(problem.String()))
	}
	return out, nil
}

// await waits until a message has n answers and returns them.
func (s *show) await(ctx context.Context, messageID string, n int) ([]order.Result, error) {
	err := until(ctx, "the answer to message "+messageID, func() bool {
		return len(s.audience.Answers(messageID)) >= n
	})
	return s.audience.Answers(messageID), err
}

// awaitAll waits until every one of the messages has an answer.
func (s *show) awaitAll(ctx context.Context, messages []sent) error {
	return until(ctx, "the answers to a load", func() bool {
		answered := s.audience.Answered()
		return !slices.ContainsFunc(messages, func(m sent) bool {
			return answered[m.MessageID] == 0
		})
	})
}
