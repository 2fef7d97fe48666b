package rocketmq

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/remoting"
)

// Permission bits of a topic's queues.
const (
	permWrite = 2
	permRead  = 4
)

// routePoll is how often a new topic is looked for at the name servers.
const routePoll = 100 * time.Millisecond

// ErrNoTopic says that the name servers know no such topic.
var ErrNoTopic = errors.New("rocketmq: no such topic")

// deadLetterPrefix begins the name of every group's topic of dead letters.
const deadLetterPrefix = "%DLQ%"

// RetryTopic is where the broker keeps a group's messages until they are delivered again.
func RetryTopic(group string) string { return "%RETRY%" + group }

// DeadLetterTopic is where the broker puts messages that a group has failed for the last time.
func DeadLetterTopic(group string) string { return deadLetterPrefix + group }

// Admin asks and tells name servers and brokers. It holds no connection between calls. It is
// safe for concurrent use.
type Admin struct {
	nameServers []string
	creds       credentials
}

// NewAdmin checks the addresses, each a host:port. The keys are empty where the brokers ask for
// none.
func NewAdmin(nameServers []string, accessKey, secretKey string) (*Admin, error) {
	if err := checkNameServers(nameServers); err != nil {
		return nil, err
	}
	if (accessKey == "") != (secretKey == "") {
		return nil, errors.New("rocketmq: access key and secret key go together")
	}
	return &Admin{
		nameServers: nameServers,
		creds:       credentials{accessKey: accessKey, secretKey: secretKey},
	}, nil
}

// Route says where a topic's queues are.
type Route struct {
	Topic   string
	Brokers []RouteBroker
}

// RouteBroker is one broker's share of a topic.
type RouteBroker struct {
	Name string
	// Address is where the master listens; empty while it is down.
	Address                 string
	ReadQueues, WriteQueues int
	Readable, Writable      bool
}

// Readable says whether any queue can be read.
func (r Route) Readable() bool {
	for _, b := range r.Brokers {
		if b.Readable && b.ReadQueues > 0 {
			return true
		}
	}
	return false
}

// Writable says whether any queue can be written.
func (r Route) Writable() bool {
	for _, b := range r.Brokers {
		if b.Writable && b.WriteQueues > 0 && b.Address != "" {
			return true
		}
	}
	return false
}

// Route asks the name servers in turn. The error wraps ErrNoTopic when those that answered know no
// such topic, and idem.ErrUnavailable when none answered.
func (a *Admin) Route(ctx context.Context, topic string) (Route, error) {
	var failures []error
	var missing error
	for _, server := range a.nameServers {
		body, err := a.ask(ctx, server, remoting.RouteOfTopic, map[string]string{
			"topic": topic, "acceptStandardJsonOnly": "true",
		})
		switch {
		case err == nil:
			return decodeRoute(topic, body.Body)
		case refusedWith(err, respTopicNotExist):
			// Another one may know it: one that has just started knows nothing yet.
			missing = fmt.Errorf("%w: %s, says name server %s", ErrNoTopic, topic, server)
			continue
		}
		failures = append(failures, fmt.Errorf("name server %w", err))
	}
	if missing != nil {
		return Route{}, missing
	}
	return Route{}, unavailable("%w", errors.Join(failures...))
}

// Ping says whether a name server answers. The error wraps idem.ErrUnavailable when none does.
func (a *Admin) Ping(ctx context.Context) error {
	// Any answer will do, and a question about this topic needs no right to it.
	_, err := a.Route(ctx, "TBW102")
	if errors.Is(err, idem.ErrUnavailable) {
		return err
	}
	return nil
}

// CreateTopic makes a topic with this many queues, readable and writable, on one broker, or
// brings an existing one to that number, and waits until a name server hands it out.
func (a *Admin) CreateTopic(ctx context.Context, brokerAddr, topic string, queues int) error {
	_, err := a.ask(ctx, brokerAddr, remoting.CreateTopic, remoting.TopicFields(topic, queues))
	if err != nil {
		return fmt.Errorf("rocketmq: create topic %s: broker %w", topic, err)
	}
	return a.awaitRoute(ctx, topic, queues)
}

// awaitRoute waits until a broker of the topic offers this many queues.
func (a *Admin) awaitRoute(ctx context.Context, topic string, queues int) error {
	ticker := time.NewTicker(routePoll)
	defer ticker.Stop()
	for {
		route, err := a.Route(ctx, topic)
		for _, b := range route.Brokers {
			if b.Address != "" && b.Readable && b.Writable && b.WriteQueues >= queues {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("rocketmq: topic %s was created but no name server hands it out: %w",
				topic, errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
	}
}

// ask opens a link for one exchange.
func (a *Admin) ask(
	ctx context.Context, addr string, code int, fields map[string]string,
) (remoting.Frame, error) {
	l, err := openLink(ctx, addr, a.creds)
	if err != nil {
		return remoting.Frame{}, err
	}
	defer l.close()
	return l.call(ctx, code, fields, nil)
}

// cluster is the name of a cluster that the name servers know, for commands to paste.
func (a *Admin) cluster(ctx context.Context) string {
	const byDefault = "DefaultCluster"
	for _, server := range a.nameServers {
		answer, err := a.ask(ctx, server, codeClusters, nil)
		if err != nil {
			continue
		}
		var known struct {
			Brokers map[string]struct {
				Cluster string `json:"cluster"`
			} `json:"brokerAddrTable"`
		}
		if unmarshalLax(answer.Body, &known) != nil {
			continue
		}
		for _, b := range known.Brokers {
			return cmp.Or(bounded(b.Cluster), byDefault)
		}
	}
	return byDefault
}

// unmarshalLax reads JSON as name servers write it.
func unmarshalLax(body []byte, to any) error {
	if err := json.Unmarshal(body, to); err == nil {
		return nil
	}
	return json.Unmarshal(bareNumber.ReplaceAll(body, []byte(`$1"$2":`)), to)
}

// bareNumber finds the unquoted numeric keys that name servers before 4.9.4 write into JSON.
var bareNumber = regexp.MustCompile(`([{,])(\d+):`)

func decodeRoute(topic string, body []byte) (Route, error) {
	var wire struct {
		Queues []struct {
			Broker string `json:"brokerName"`
			Read   int    `json:"readQueueNums"`
			Write  int    `json:"writeQueueNums"`
			Perm   int    `json:"perm"`
		} `json:"queueDatas"`
		Brokers []struct {
			Name      string            `json:"brokerName"`
			Addresses map[string]string `json:"brokerAddrs"`
		} `json:"brokerDatas"`
	}
	if err := unmarshalLax(body, &wire); err != nil {
		return Route{}, fmt.Errorf("rocketmq: route of topic %s is not readable", topic)
	}
	masters := make(map[string]string, len(wire.Brokers))
	for _, b := range wire.Brokers {
		masters[b.Name] = b.Addresses["0"]
	}
	route := Route{Topic: topic}
	for _, q := range wire.Queues {
		route.Brokers = append(route.Brokers, RouteBroker{
			Name: q.Broker, Address: masters[q.Broker],
			ReadQueues: q.Read, WriteQueues: q.Write,
			Readable: q.Perm&permRead != 0, Writable: q.Perm&permWrite != 0,
		})
	}
	return route, nil
}

// checkNameServers refuses what would fail later with a worse message.
func checkNameServers(servers []string) error {
	if len(servers) == 0 {
		return errors.New("rocketmq: no name server given")
	}
	for _, s := range servers {
		host, port, err := net.SplitHostPort(s)
		if err != nil || host == "" || strings.ContainsAny(s, ";, /") {
			return fmt.Errorf("rocketmq: name server %q is not host:port", bounded(s))
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("rocketmq: name server %q has no port from 1 to 65535", bounded(s))
		}
	}
	return nil
}
