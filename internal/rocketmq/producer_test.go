package rocketmq

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	rmq "github.com/apache/rocketmq-client-go/v2"
	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"go.uber.org/zap"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
)

// scripted is a client whose sends end as written down.
type scripted struct {
	rmq.Producer
	ends    []end
	batches [][]*primitive.Message
	refuse  int // batches of more messages than this are illegal; 0 for none
}

type end struct {
	status primitive.SendStatus
	err    error
}

func (s *scripted) SendSync(
	_ context.Context, messages ...*primitive.Message,
) (*primitive.SendResult, error) {
	s.batches = append(s.batches, messages)
	if s.refuse > 0 && len(messages) > s.refuse {
		return nil, errors.New("CODE: 13, DESC: the message is illegal")
	}
	result := primitive.NewSendResult()
	if len(s.ends) == 0 {
		s.ends = []end{{}}
	}
	next := s.ends[0]
	s.ends = s.ends[1:]
	if next.err != nil {
		return result, next.err
	}
	result.Status = next.status
	result.MessageQueue = &primitive.MessageQueue{BrokerName: "b"}
	return result, nil
}

func scriptedProducer(t *testing.T, client *scripted) *Producer {
	t.Helper()
	config := ProducerConfig{NameServers: []string{"127.0.0.1:1"}, Group: "g"}.withDefaults()
	p := &Producer{config: config, client: client, log: zap.NewNop()}
	p.routed.Store("T", struct{}{})
	return p
}

// TestProducer_Results: sent means that the broker said so; not sent means that it is proven;
// everything else is unknown, also when a later attempt surely failed.
func TestProducer_Results(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	write := &net.OpError{Op: "write", Err: errors.New("broken pipe")}
	timeout := clienterrors.ErrRequestTimeout
	busy := errors.New("CODE: 2, DESC: [TIMEOUT_CLEAN_QUEUE]broker busy")
	for name, test := range map[string]struct {
		ends     []end
		want     error
		attempts int
	}{
		"Stored":              {[]end{{}}, nil, 1},
		"StoredAtLast":        {[]end{{err: timeout}, {err: dial}, {}}, nil, 3},
		"NotFlushed":          {repeat(end{status: primitive.SendFlushDiskTimeout}), ErrUnknown, 3},
		"NoSlave":             {repeat(end{status: primitive.SendSlaveNotAvailable}), ErrUnknown, 3},
		"NoStatus":            {repeat(end{status: primitive.SendUnknownError}), ErrUnknown, 3},
		"NewStatus":           {repeat(end{status: 99}), ErrUnknown, 3},
		"Timeout":             {repeat(end{err: timeout}), ErrUnknown, 3},
		"Cut":                 {repeat(end{err: write}), ErrUnknown, 3},
		"NewError":            {repeat(end{err: errors.New("eh")}), ErrUnknown, 3},
		"SystemError":         {repeat(end{err: errors.New("CODE: 1, DESC: eh")}), ErrUnknown, 3},
		"Unreachable":         {repeat(end{err: dial}), idem.ErrUnavailable, 3},
		"TimeoutUnreachable":  {[]end{{err: timeout}, {err: dial}, {err: dial}}, ErrUnknown, 3},
		"Busy":                {repeat(end{err: busy}), ErrRefused, 3},
		"ReadOnly":            {repeat(end{err: errors.New("CODE: 16, DESC: no")}), ErrRefused, 3},
		"Illegal":             {[]end{{err: errors.New("CODE: 13, DESC: no")}}, ErrRefused, 1},
		"TimeoutThenIllegal":  {[]end{{err: timeout}, {err: errors.New("CODE: 13, DESC: no")}}, ErrUnknown, 2},
		"RouteLost":           {repeat(end{err: errors.New("the topic=T route info not found")}), idem.ErrUnavailable, 3},
		"OwnDeadlineNotSent":  {repeat(end{err: clienterrors.ErrNotRunning}), idem.ErrUnavailable, 3},
		"TimeoutThenBusy":     {[]end{{err: timeout}, {err: busy}, {err: busy}}, ErrUnknown, 3},
		"CodeThatIsNotNumber": {repeat(end{err: errors.New("CODE: 99999999999999999999, DESC: ")}), ErrUnknown, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &scripted{ends: test.ends}
			out := Outgoing{Topic: "T", Key: "k", Body: []byte("x")}
			receipt, err := scriptedProducer(t, client).Send(context.Background(), out)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			for _, other := range []error{ErrUnknown, ErrRefused, idem.ErrUnavailable} {
				if !errors.Is(test.want, other) && errors.Is(err, other) {
					t.Errorf("error %v is also %v", err, other)
				}
			}
			if len(client.batches) != test.attempts {
				t.Errorf("%d attempts, want %d", len(client.batches), test.attempts)
			}
			for _, b := range client.batches {
				id := b[0].GetProperty(primitive.PropertyUniqueClientMessageIdKeyIndex)
				if id != receipt.MessageID || id == "" {
					t.Errorf("sent with ID %q, receipt has %q", id, receipt.MessageID)
				}
			}
		})
	}
}

func repeat(e end) []end { return []end{e, e, e} }

// TestProducer_ContextOver: nothing is transmitted. The client by itself transmits, and then
// calls it a timeout.
func TestProducer_ContextOver(t *testing.T) {
	t.Parallel()
	client := &scripted{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := scriptedProducer(t, client).Send(ctx, Outgoing{Topic: "T", Body: []byte("x")})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknown) || len(client.batches) != 0 {
		t.Errorf("error %v after %d attempts", err, len(client.batches))
	}
}

// TestProducer_ContextOverLater: between attempts the context counts; what was sent stays unknown.
func TestProducer_ContextOverLater(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	client := &scripted{ends: repeat(end{err: clienterrors.ErrRequestTimeout})}
	p := scriptedProducer(t, client)
	p.config.Retries = 5
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	_, err := p.Send(ctx, Outgoing{Topic: "T", Body: []byte("x")})
	if !errors.Is(err, ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want unknown and cancelled", err)
	}
}

func TestProducer_Validate(t *testing.T) {
	t.Parallel()
	good := Outgoing{Topic: "T", Key: "ORDERID_100", Tag: "pay", Body: []byte("x")}
	for name, change := range map[string]func(*Outgoing){
		"NoTopic":          func(o *Outgoing) { o.Topic = "" },
		"KeySpace":         func(o *Outgoing) { o.Key = "a b" },
		"KeyOne":           func(o *Outgoing) { o.Key = "a\x01b" },
		"KeyTwo":           func(o *Outgoing) { o.Key = "a\x02b" },
		"KeyNewline":       func(o *Outgoing) { o.Key = "a\nb" },
		"KeyUTF8":          func(o *Outgoing) { o.Key = "a\xff" },
		"KeyLong":          func(o *Outgoing) { o.Key = strings.Repeat("k", 256) },
		"TagAny":           func(o *Outgoing) { o.Tag = "*" },
		"TagBar":           func(o *Outgoing) { o.Tag = "a||b" },
		"ID":               func(o *Outgoing) { o.ID = "a\x02" },
		"NoBody":           func(o *Outgoing) { o.Body = nil },
		"LongBody":         func(o *Outgoing) { o.Body = make([]byte, defaultMaxBody+1) },
		"PropertyName":     func(o *Outgoing) { o.Properties = map[string]string{"DELAY": "3"} },
		"PropertyValue":    func(o *Outgoing) { o.Properties = map[string]string{"a": "\x01"} },
		"PropertyEmpty":    func(o *Outgoing) { o.Properties = map[string]string{"a": ""} },
		"PropertiesLength": func(o *Outgoing) { o.Properties = map[string]string{"a": strings.Repeat("v", 20000)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := good
			change(&out)
			client := &scripted{}
			_, err := scriptedProducer(t, client).Send(context.Background(), out)
			if !errors.Is(err, ErrInvalid) || len(client.batches) != 0 {
				t.Errorf("error %v after %d attempts", err, len(client.batches))
			}
		})
	}
	good.Properties = map[string]string{"traceparent": "00-1"}
	good.Body = make([]byte, defaultMaxBody)
	if _, err := scriptedProducer(t, &scripted{}).Send(context.Background(), good); err != nil {
		t.Errorf("a good message: %v", err)
	}
}

// TestProducer_NameServerDown: nothing was sent, and the error says so at once.
func TestProducer_NameServerDown(t *testing.T) {
	t.Parallel()
	p, err := NewProducer(ProducerConfig{NameServers: []string{"localhost:1"}, Group: "g", Retries: -1}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	out := Outgoing{Topic: "T", Body: []byte("x")}
	_, err = p.Send(patient(t), out)
	wantError(t, err, "localhost:1", "topic T")
	if !errors.Is(err, idem.ErrUnavailable) || errors.Is(err, ErrUnknown) {
		t.Errorf("error %v, want unavailable", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Send(patient(t), out); !errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("send after close: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestProducer_MissingTopic: the client makes up a route for it, and the broker may make the topic.
func TestProducer_MissingTopic(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := "it_" + b.name + "_none"
	_, err := b.producer(t).Send(patient(t), Outgoing{Topic: topic, Body: []byte("x")})
	if !errors.Is(err, ErrNoTopic) || !errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("error %v, want ErrNoTopic", err)
	}
}

// TestProducer_LostAnswers: the broker stores, and its answers are lost. The sends are unknown,
// and their repetition is the same message again.
func TestProducer_LostAnswers(t *testing.T) {
	t.Parallel()
	b := needBroker(t)
	topic := b.topic(t, "", 2)
	line := newCrossing(t, b)
	p, err := NewProducer(ProducerConfig{
		NameServers: line.nameServers, Group: "it-producer",
		SendTimeout: 500 * time.Millisecond, Retries: 1,
	}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	eventually(t, "a message before to pass", func() bool {
		_, err := p.Send(patient(t), Outgoing{Topic: topic, Key: "before", Body: []byte("before")})
		return err == nil
	})

	line.swallow(true)
	out := Outgoing{Topic: topic, Key: "lost", Body: []byte("lost")}
	receipt, err := p.Send(patient(t), out)
	if !errors.Is(err, ErrUnknown) || errors.Is(err, idem.ErrUnavailable) {
		t.Fatalf("error %v, want unknown", err)
	}
	line.swallow(false)
	out.ID = receipt.MessageID
	eventually(t, "the repetition to pass", func() bool {
		_, err := p.Send(patient(t), out)
		return err == nil
	})

	seen := newJournal()
	consume(t, b.consumerConfig(topic), func(_ context.Context, m payment.Message) payment.Disposition {
		seen.add(m)
		return payment.Acknowledge
	})
	eventually(t, "all copies", func() bool { return b.committed(t, topic) })
	copies := seen.of("lost")
	if len(copies) < 3 {
		t.Fatalf("%d copies, want two of the lost attempts and one of the repetition", len(copies))
	}
	for _, m := range copies {
		if m.ID != receipt.MessageID {
			t.Errorf("a copy has ID %s, want %s", m.ID, receipt.MessageID)
		}
	}

	line.close()
	eventually(t, "the broker to be gone", func() bool {
		_, err := p.Send(patient(t), out)
		return errors.Is(err, idem.ErrUnavailable) && !errors.Is(err, ErrUnknown)
	})
}

func TestNewMessageID(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 100_000 {
		id := NewMessageID()
		if _, err := hex.DecodeString(id); err != nil || len(id) != 32 || seen[id] {
			t.Fatalf("ID %q: not 32 hexadecimal digits, or not unique", id)
		}
		seen[id] = true
	}
}

// TestProducer_SendBatch: all messages go out as one batch, or none does.
func TestProducer_SendBatch(t *testing.T) {
	t.Parallel()
	message := func(topic, key string) Outgoing {
		return Outgoing{Topic: topic, Key: key, Body: []byte("{}")}
	}
	for name, test := range map[string]struct {
		batch   []Outgoing
		want    error
		batches int
	}{
		"Empty":     {nil, nil, 0},
		"Two":       {[]Outgoing{message("T", "a"), message("T", "b")}, nil, 1},
		"TwoTopics": {[]Outgoing{message("T", "a"), message("U", "b")}, ErrInvalid, 0},
		"Invalid":   {[]Outgoing{message("T", "a"), message("T", "b c")}, ErrInvalid, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &scripted{}
			err := scriptedProducer(t, client).SendBatch(t.Context(), test.batch)
			if !errors.Is(err, test.want) || len(client.batches) != test.batches {
				t.Errorf("error %v, %d batches; want %v, %d", err, len(client.batches), test.want,
					test.batches)
			}
			for _, batch := range client.batches {
				if len(batch) != len(test.batch) {
					t.Errorf("a batch of %d, want %d", len(batch), len(test.batch))
				}
			}
		})
	}
}
