package rocketmq

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/rlog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"example.com/payment/internal/payment"
)

// The words that must appear in no line.
const (
	marker = "MARKER-of-a-body"
	secret = "SECRET-of-a-key"
)

// leakScenario makes the test program play the scenario of TestClientLogs_NoContent.
const leakScenario = "ROCKETMQ_TEST_LEAK_SCENARIO"

// TestClientLogs_NoContent: a program that logs everything, at debug level, and meets all kinds
// of failure, writes neither a body nor a secret: not through the logger, and not past it.
func TestClientLogs_NoContent(t *testing.T) {
	t.Parallel()
	needBroker(t)
	scenario := exec.CommandContext(patient(t), os.Args[0], "-test.run=^TestLeakScenario$", "-test.v")
	scenario.Env = append(os.Environ(), leakScenario+"=1")
	output, err := scenario.CombinedOutput()
	if err != nil {
		t.Fatalf("scenario: %v\n%s", err, output[max(0, len(output)-2000):])
	}
	said := string(output)
	for _, fired := range []string{
		"consumeMessageCurrently error",          // the client's line that holds messages
		"a listener's error", "handler panicked", // the failures
		"skipped a message that is not a result",
		"start a new Pull Message task", // debug lines are there
	} {
		if !strings.Contains(said, fired) {
			t.Errorf("the scenario did not make the program say %q", fired)
		}
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(marker))
	for _, word := range []string{marker, secret, encoded} {
		for line := range strings.Lines(said) {
			if strings.Contains(line, word) {
				t.Errorf("%q appears in: %s", word, line)
			}
		}
	}
}

// TestLeakScenario is not a test: TestClientLogs_NoContent runs it in a process of its own.
func TestLeakScenario(t *testing.T) {
	if os.Getenv(leakScenario) == "" {
		t.Skip("is run by TestClientLogs_NoContent")
	}
	log, err := zap.NewDevelopment()
	if err != nil {
		t.Fatal(err)
	}
	rlog.SetLogger(&clientLog{log: log}) // without the sampling: every line
	b := needBroker(t)
	topic := b.topic(t, "", 2)
	leakingListener(t, b, topic, log)

	config := b.consumerConfig(topic)
	config.AccessKey, config.SecretKey = "key", secret
	var answered atomic.Int64
	c, err := NewConsumer(config, func(_ context.Context, m payment.Message) payment.Disposition {
		defer answered.Add(1)
		if m.Attempt == 1 {
			panic("panicked over " + string(m.Body))
		}
		return payment.Acknowledge
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	p, err := NewProducer(ProducerConfig{
		NameServers: b.nameServers, Group: "it-producer", AccessKey: "key", SecretKey: secret,
		SendTimeout: sendTimeout,
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	out := Outgoing{Topic: topic, Key: "k", Body: []byte(marker)}
	if _, err := p.Send(patient(t), out); err != nil {
		t.Fatal(err)
	}
	out.Topic = "it_" + b.name + "_none"
	_, err = p.Send(patient(t), out)
	t.Log(err)
	eventually(t, "a panic and its redelivery", func() bool { return answered.Load() >= 2 })
	reader, err := NewResultReader(ResultReaderConfig{
		NameServers: b.nameServers, Group: b.group() + "-r", Topic: topic,
	}, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Start(patient(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reader to skip both messages", func() bool {
		return reader.consumer.Stats().Delivered >= 2
	})
	t.Log(errors.Join(reader.Close(patient(t)), c.Drain(patient(t)), p.Close()))
}

// leakingListener is what this package never does: it returns an error to the client, which
// then logs all that it pulled.
func leakingListener(t *testing.T, b broker, topic string, log *zap.Logger) {
	t.Helper()
	config := b.consumerConfig(topic)
	config.Group += "-leak"
	c, err := NewConsumer(config, nil, log)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.preflight(patient(t)); err != nil {
		t.Fatal(err)
	}
	if c.client, err = c.newClient(); err != nil {
		t.Fatal(err)
	}
	failed := make(chan struct{}, 1)
	err = c.client.Subscribe(topic, consumer.MessageSelector{},
		func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			select {
			case failed <- struct{}{}:
			default:
			}
			return consumer.ConsumeRetryLater, errors.New("a listener's error")
		})
	if err := errors.Join(err, c.client.Start()); err != nil {
		t.Fatal(err)
	}
	c.watch.start()
	t.Cleanup(func() { _ = c.Drain(patient(t)) })
	p := b.producer(t)
	out := Outgoing{Topic: topic, Key: "leak", Body: []byte(marker)}
	if _, err := p.Send(patient(t), out); err != nil {
		t.Fatal(err)
	}
	<-failed
}

// TestClientLog_Fields: only the known fields pass, and only as what cannot hold content.
func TestClientLog_Fields(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zapcore.DebugLevel)
	log := &clientLog{log: zap.New(core)}
	message := &primitive.MessageExt{Message: primitive.Message{Body: []byte(marker)}}
	message.Queue = &primitive.MessageQueue{}
	log.Warning("consumeMessageCurrently error", map[string]any{
		rlog.LogKeyUnderlayError: errors.New("it\nfailed"),
		rlog.LogKeyMessages:      []*primitive.MessageExt{message},
		rlog.LogKeyMessageQueue:  &primitive.MessageQueue{Topic: "T", BrokerName: "b", QueueId: 3},
		rlog.LogKeyConsumerGroup: "g",
		rlog.LogKeyTopic:         message, // a known name with an unknown value
		rlog.LogKeyBroker:        strings.Repeat("b", 10_000),
		"offset":                 int64(7),
		"message":                message,
		"body":                   marker,
		"namesrv":                struct{ Secret string }{secret},
	})
	got := lines.All()[0].ContextMap()
	if len(got) != 5 || got["MessageQueue"] != "T/b/3" || got["underlayError"] != "it failed" ||
		got["offset"] != int64(7) || got["consumerGroup"] != "g" {
		t.Errorf("fields %v", got)
	}
	if n := len(got["broker"].(string)); n > maxTextBytes+3 {
		t.Errorf("a text of %d bytes passed", n)
	}
}

// TestClientLog_Levels: the client's chatter is for debugging, and nothing ends the process.
func TestClientLog_Levels(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zapcore.DebugLevel)
	log := &clientLog{log: zap.New(core)}
	log.Debug("1", nil)
	log.Info("2", nil)
	log.Warning("processQueue is dropped without process consume result.", nil)
	log.Warning("3", nil)
	log.Error("4", nil)
	log.Fatal("5", nil)
	log.Level("debug")
	if err := log.OutputPath("/nowhere"); err != nil {
		t.Error(err)
	}
	want := []zapcore.Level{
		zapcore.DebugLevel, zapcore.DebugLevel, zapcore.DebugLevel, zapcore.WarnLevel,
		zapcore.ErrorLevel, zapcore.ErrorLevel,
	}
	for i, line := range lines.All() {
		if line.Level != want[i] {
			t.Errorf("line %d at level %v, want %v", i, line.Level, want[i])
		}
	}
}
