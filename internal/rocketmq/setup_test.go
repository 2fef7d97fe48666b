package rocketmq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"go.uber.org/zap/zaptest/observer"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
)

func quiet(t *testing.T) *zap.Logger {
	t.Helper()
	return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q, want it to have %q", err, part)
		}
	}
}

// deafConfig points to an address where nobody listens.
func deafConfig() ConsumerConfig {
	return ConsumerConfig{NameServers: []string{"127.0.0.1:1"}, Group: "g", Topic: "T"}
}

// TestConsumer_NameServerDown: bounded attempts, a line for each, and an error that says what
// could not be reached and which setting says so.
func TestConsumer_NameServerDown(t *testing.T) {
	t.Parallel()
	config := deafConfig()
	config.NameServers = []string{"localhost:1", "127.0.0.1:2"}
	config.StartAttempts = 3
	config.StartBackoff = time.Millisecond
	core, lines := observer.New(zap.WarnLevel)
	c, err := NewConsumer(config, nil, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	err = c.Start(patient(t))
	wantError(t, err, "localhost:1,127.0.0.1:2", NameServersSetting, "after 3 attempts", "refused")
	if !errors.Is(err, idem.ErrUnavailable) {
		t.Error("the error does not say that the servers are unavailable")
	}
	if lines.Len() != 2 {
		t.Errorf("%d lines before the last attempt, want 2", lines.Len())
	}
	if c.Started() {
		t.Error("it says that it has started")
	}
}

// TestConsumer_StartCancelled: the context ends the attempts.
func TestConsumer_StartCancelled(t *testing.T) {
	t.Parallel()
	config := deafConfig()
	config.StartBackoff = time.Minute
	c, err := NewConsumer(config, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := c.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start ended with %v", err)
	}
}

// TestConsumer_SilentNameServer: a port that is open and says nothing, or nonsense.
func TestConsumer_SilentNameServer(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{"Nothing": "", "Nonsense": "HTTP/1.1 400 Bad Request\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := deafConfig()
			config.NameServers = []string{listenAndSay(t, says)}
			config.StartAttempts = 1
			c, err := NewConsumer(config, nil, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			wantError(t, c.Start(ctx), config.NameServers[0], NameServersSetting)
		})
	}
}

// listenAndSay answers every connection with the same bytes.
func listenAndSay(t *testing.T, says string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			_, _ = conn.Write([]byte(says))
			open = append(open, conn)
		}
		for _, conn := range open {
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// TestConsumer_MissingTopics: all that is missing is named at once, with the commands, also by
// consumers that start together.
func TestConsumer_MissingTopics(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	config := b.consumerConfig("it_" + b.name + "_none")
	config.WriteTopics = []string{"it_" + b.name + "_results"}
	config.StartAttempts = 1
	other := b.consumerConfig("it_" + b.name + "_other")
	err := StartTogether(patient(t), unstarted(t, config), unstarted(t, other))
	if !errors.Is(err, ErrSetup) {
		t.Errorf("error %v is not ErrSetup", err)
	}
	for _, topic := range []string{config.Topic, config.WriteTopics[0], other.Topic} {
		wantError(t, err, "topic "+topic+" does not exist", "mqadmin updateTopic",
			"-c 'payment-lab'", "-t '"+topic+"'")
	}
}

func unstarted(t *testing.T, config ConsumerConfig) *Consumer {
	t.Helper()
	c, err := NewConsumer(config, nil, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestConsumer_GroupTopics: the group's own topics are made where they are missing, and those that
// are there stay as they are, also when the first name server has not heard of them yet.
func TestConsumer_GroupTopics(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	config := b.consumerConfig(b.topic(t, "", 1))
	retry, dead := RetryTopic(config.Group), DeadLetterTopic(config.Group)
	b.create(t, retry, 3)
	config.NameServers = append([]string{knowsNothing(t, b)}, b.nameServers...)
	c := consume(t, config, func(context.Context, payment.Message) payment.Disposition {
		return payment.Acknowledge
	})
	if err := c.Drain(patient(t)); err != nil {
		t.Error(err)
	}
	for topic, want := range map[string]int{retry: 3, dead: groupTopicQueues} {
		if route := b.route(t, topic); route.Brokers[0].WriteQueues != want {
			t.Errorf("topic %s: %+v, want %d queues", topic, route, want)
		}
	}
}

// knowsNothing is a name server that denies every topic, as
// one does that brokers have not told everything yet.
func knowsNothing(t *testing.T, b broker) string {
	t.Helper()
	copyAll := func(client, server net.Conn) { _, _ = io.Copy(server, client) }
	f := forward(t, b.nameServers[0], copyAll, func(client, server net.Conn) {
		for rewriteFrame(client, server, func(header, body []byte) ([]byte, []byte) {
			if bytes.Contains(body, []byte("brokerDatas")) {
				return bytes.Replace(header, []byte(`"code":0`), []byte(`"code":17`), 1), nil
			}
			return header, body
		}) == nil {
		}
	})
	return f.address
}

// TestConsumer_GroupSettings: a group that loses its failed messages is refused, at once.
func TestConsumer_GroupSettings(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		retryQueues int
		enabled     bool
		want        string
	}{
		"NoRetryQueue": {0, true, "retryQueueNums=0"},
		"Disabled":     {1, false, "consumeEnable=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := needBroker(t)
			config := b.consumerConfig(b.topic(t, "", 1))
			config.StartBackoff = time.Minute // so that a second attempt would be noticed
			setGroup(t, b, config.Group, test.retryQueues, test.enabled)
			err := unstarted(t, config).Start(patient(t))
			wantError(t, err, test.want, config.Group, "mqadmin updateSubGroup", "-b "+b.address)
		})
	}
}

// setGroup writes a group's settings at the broker.
func setGroup(t *testing.T, b broker, group string, retryQueues int, enabled bool) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"groupName": group, "consumeEnable": enabled, "consumeFromMinEnable": true,
		"consumeBroadcastEnable": true, "retryMaxTimes": 16, "retryQueueNums": retryQueues,
		"brokerId": 0, "whichBrokerWhenConsumeSlowly": 1, "notifyConsumerIdsChangedEnable": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.call(t, codeUpdateGroup, nil, body)
}

// call makes a request of the broker, again until it answers.
func (b broker) call(t *testing.T, code int, fields map[string]string, body []byte) {
	t.Helper()
	insist(t, func(ctx context.Context) error {
		l, err := openLink(ctx, b.address, credentials{})
		if err != nil {
			return err
		}
		defer l.close()
		_, err = l.call(ctx, code, fields, body)
		return err
	})
}

// TestAdmin_CreateTopic: what the broker refuses is an error; the client's call says nil.
func TestAdmin_CreateTopic(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	err := b.admin.CreateTopic(patient(t), b.address, "not a topic", 1)
	wantError(t, err, "not a topic", b.address, "illegal characters")
	if _, err := b.admin.Route(patient(t), "it_"+b.name+"_none"); !errors.Is(err, ErrNoTopic) {
		t.Errorf("route of a missing topic: %v", err)
	}
	topic := b.topic(t, "", 3)
	route := b.route(t, topic)
	if !route.Readable() || !route.Writable() || route.Brokers[0].WriteQueues != 3 {
		t.Errorf("route %+v", route)
	}
}

// TestConsumer_BrokerDown: a name server hands out a broker that is gone.
func TestConsumer_BrokerDown(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	config := b.consumerConfig(b.topic(t, "", 1))
	config.MaxRedeliveries = Unlimited
	b.create(t, RetryTopic(config.Group), 1)
	line := newCrossing(t, b)
	line.close()
	config.NameServers = line.nameServers
	config.StartAttempts = 1
	c, err := NewConsumer(config, nil, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	err = c.Start(patient(t))
	wantError(t, err, "cannot be reached", line.toBroker.address)
	if !errors.Is(err, idem.ErrUnavailable) || errors.Is(err, ErrSetup) {
		t.Errorf("error %v, want unavailable", err)
	}
}
