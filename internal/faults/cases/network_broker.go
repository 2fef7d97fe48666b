package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/remoting"
	"example.com/payment/internal/rocketmq"
)

// cutsAtAcknowledgement is how many acknowledgements cost their connection.
const cutsAtAcknowledgement = 9

// cutAcknowledgements breaks the connection at the consumers' reports of how far they have come,
// and wants them to arrive afterwards. A consumer reports every 5 s, and all of it is lost at the
// first cut; so there are several. What a consumer was waiting for on a connection that is cut,
// its client goes on waiting for: up to 30 s.
func cutAcknowledgements(ctx context.Context, r *faults.Rig) error {
	for range 3 {
		if _, err := r.Start(ctx); err != nil {
			return err
		}
	}
	stop := sync.OnceValue(r.Sender.Background(ctx, faults.Mix{
		PerSecond: 100, Repeat: 0.2, Alter: 0.02, Hostile: 0.01,
	}))
	defer stop()
	cut := r.Broker.Add(rocketmqproxy.Acknowledgements(devstack.OrderTopic), rocketmqproxy.Cut(),
		rule.Always())
	err := faults.Until(ctx, "cut acknowledgements", trafficLimit, func() bool {
		return cut.Fired() >= cutsAtAcknowledgement
	})
	cut.Remove()
	r.Journal.FiredTimes("cut at the acknowledgement", cut.Fired(), "the proxy")
	stop()
	if err != nil {
		return err
	}
	return faults.Until(ctx, "all to be acknowledged", trafficLimit, func() bool {
		backlog, err := r.Backlog(ctx)
		return err == nil && backlog == 0
	})
}

// refusals is how many messages are given back and refused, both ways.
const refusals = 6

// refuseSendBacks makes a broker that is read-only for whoever gives a message back. A consumer
// that takes a refusal for a success loses the message; here it keeps it and tries again.
func refuseSendBacks(ctx context.Context, r *faults.Rig) error {
	// At hits that are known, and not at random: what is refused comes again after 5 s in the same
	// process, and panicking once more would only make it slower.
	actions := make([]string, refusals)
	for i := range actions {
		actions[i] = fmt.Sprintf("%s=panic@%d", failpoint.Received, 1+3*i+r.Random.IntN(3))
	}
	c, err := r.Launch(failpoint.Variable + "=" + strings.Join(actions, ","))
	if err != nil {
		return err
	}
	refuse := rocketmqproxy.Refuse(rocketmqproxy.NoPermission)
	back := r.Broker.Add(rocketmqproxy.SendBacks(devstack.ConsumerGroup), refuse, rule.Always())
	fallBack := r.Broker.Add(rocketmqproxy.Sends(rocketmq.RetryTopic(devstack.ConsumerGroup)),
		refuse, rule.Always())
	r.Sender.Load(ctx, faults.Mix{Orders: 10 * refusals, Repeat: 0.1, Alter: 0.02})
	err = faults.Until(ctx, "refused send-backs", trafficLimit, func() bool {
		return back.Fired() >= refusals && fallBack.Fired() >= refusals
	})
	back.Remove()
	fallBack.Remove()
	r.Journal.FiredTimes("send-back refused", back.Fired(), "the proxy")
	r.Journal.FiredTimes("fall-back send refused", fallBack.Fired(), "the proxy")
	if err == nil && !c.Says("handler panicked") {
		err = errors.New("messages were given back, and not for the panic")
	}
	return err
}

// registerBroker is the code of the request by which a broker announces itself. The name server
// forgets the broker when the connection of the request ends.
const registerBroker = 103

// announce tells the name server of a broker with queues of these topics.
func announce(
	ctx context.Context, nameServer *remoting.Conn, name, addr string, topics ...string,
) error {
	type config struct {
		Name   string `json:"topicName"`
		Read   int    `json:"readQueueNums"`
		Write  int    `json:"writeQueueNums"`
		Perm   int    `json:"perm"`
		Filter string `json:"topicFilterType"`
	}
	table := map[string]config{}
	for _, topic := range topics {
		table[topic] = config{topic, 8, 8, 6, "SINGLE_TAG"}
	}
	body, err := json.Marshal(map[string]any{
		"topicConfigSerializeWrapper": map[string]any{
			"topicConfigTable": table,
			"dataVersion":      map[string]any{"timestamp": time.Now().UnixMilli(), "counter": 1},
		},
		"filterServerList": []string{},
	})
	if err != nil {
		return err
	}
	_, err = nameServer.Call(ctx, registerBroker, map[string]string{
		"clusterName": "payment-lab", "brokerName": name, "brokerId": "0", "brokerAddr": addr,
		"haServerAddr": addr, "compressed": "false", "bodyCrc32": "0",
	}, body)
	return err
}

// nobody is an address at which nothing listens.
const nobody = "127.0.0.1:1"

// handOutDeadBroker makes half of the topics' queues those of a broker that is not there. One
// consumer learns of it while it runs and has to go on with the living broker; another has to be
// able to start.
func handOutDeadBroker(ctx context.Context, r *faults.Rig) error {
	running, err := r.Start(ctx)
	if err != nil {
		return err
	}
	nameServer, err := remoting.Dial(ctx, r.Stack.Address(devstack.NameServer))
	if err != nil {
		return err
	}
	defer func() { _ = nameServer.Close() }()
	if err := announce(ctx, nameServer, "broker-dead", nobody,
		devstack.OrderTopic, devstack.ResultTopic); err != nil {
		return fmt.Errorf("register a dead broker: %w", err)
	}
	if err := awaitBrokers(ctx, r, 2); err != nil {
		return err
	}
	r.Journal.Fired("dead broker handed out", "the name server's route")
	stop := sync.OnceValue(r.Sender.Background(ctx,
		faults.Mix{PerSecond: 50, Repeat: 0.2, Alter: 0.02}))
	defer stop()
	if err := meetDeadBroker(ctx, r, running); err != nil {
		return err
	}
	stop()
	// Beside the other, and only to start: which of two gets the living queues is the client's
	// business, and it may take a few rounds of its rebalancing, of 20 s each.
	fresh, err := r.Start(ctx)
	if err != nil {
		return err
	}
	if !fresh.Says("a broker is down; its queues wait") {
		return errors.New("a consumer has started and does not say that a broker is dead")
	}
	return errors.Join(fresh.Stop(ctx), nameServer.Close(), awaitBrokers(ctx, r, 1))
}

// meetDeadBroker waits until a consumer has tried in vain to send results to the dead broker,
// and then wants orders to be answered all the same.
func meetDeadBroker(ctx context.Context, r *faults.Rig, c *faults.Consumer) error {
	const sends = "messaging_client_operation_duration_seconds_count"
	err := faults.Until(ctx, "a consumer to meet the dead broker", trafficLimit, func() bool {
		all, err := c.Metric(ctx, sends)
		good, goodErr := c.Metric(ctx, sends, `error_type=""`)
		return errors.Join(err, goodErr) == nil && all > good
	})
	if err != nil {
		return err
	}
	r.Journal.Fired("result for a dead broker", "the consumer's count of failed sends")
	return paidMeanwhile(ctx, r, "orders while a broker is dead")
}

// awaitBrokers waits until the name server hands out so many brokers for the orders.
func awaitBrokers(ctx context.Context, r *faults.Rig, n int) error {
	return faults.Until(ctx, fmt.Sprint("a route of ", n, " brokers"), trafficLimit, func() bool {
		route, err := r.Admin.Route(ctx, devstack.OrderTopic)
		return err == nil && len(route.Brokers) == n
	})
}
