package remoting

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Properties returns the configuration that a broker (BrokerConfig) or a name server
// (NameServerConfig) runs with. It holds folders, which tell one server from another that
// happens to listen on the same port.
func Properties(ctx context.Context, addr string, code int) (map[string]string, error) {
	answer, err := Call(ctx, addr, code, nil, nil)
	if err != nil {
		return nil, err
	}
	properties := make(map[string]string)
	for line := range strings.Lines(string(answer.Body)) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok {
			properties[key] = value
		}
	}
	return properties, nil
}

// Create makes a topic on one broker with the given number of queues for reading and writing, or
// brings one that is there to that number.
func Create(ctx context.Context, broker, topic string, queues int) error {
	_, err := Call(ctx, broker, CreateTopic, TopicFields(topic, queues), nil)
	return err
}

// TopicFields are the fields of a CreateTopic request for a topic that can be read and written.
func TopicFields(topic string, queues int) map[string]string {
	n := strconv.Itoa(queues)
	return map[string]string{
		"topic": topic, "defaultTopic": "TBW102", "readQueueNums": n, "writeQueueNums": n,
		"perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
	}
}

// HasRoute reports whether a name server knows a topic.
func HasRoute(ctx context.Context, nameServer, topic string) (bool, error) {
	_, err := Call(ctx, nameServer, RouteOfTopic, map[string]string{"topic": topic}, nil)
	var refused *RefusedError
	if errors.As(err, &refused) && refused.Code == codeNoRoute {
		return false, nil
	}
	return err == nil, err
}

// Register makes a broker tell its name servers everything it has, now. By itself it does so
// when it starts and every 10 to 60 s: a name server that was not there in that moment knows
// nothing until the next one. The request sets a permission to the value that it has.
func Register(ctx context.Context, broker string) error {
	_, err := Call(ctx, broker, UpdateConfig, nil, []byte("brokerPermission=6\n"))
	return err
}

// Send stores one message, and returns nil when the broker says that it is stored and flushed. It
// makes the request that Java's clients make, whose names of fields are single letters.
func Send(ctx context.Context, broker, topic string, body []byte) error {
	_, err := Call(ctx, broker, SendMessageV2, map[string]string{
		"a": "payment-lab", "b": topic,
		"c": "TBW102", "d": "1", // the topic to copy a missing one from, and its queues
		"e": "0", "f": "0", // queue, system flag
		"g": strconv.FormatInt(time.Now().UnixMilli(), 10),
		"h": "0", "i": "", "j": "0", "k": "false", // flag, properties, reconsume times, unit mode
	}, body)
	return err
}
