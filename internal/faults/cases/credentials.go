package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/rocketmq"
)

// The one user of the broker that asks for credentials.
const (
	brokerUser     = "faults-user"
	brokerPassword = "faults-password-4711"
)

// asking makes a broker ask for credentials. Requests 17, 25, 26 and 310 go without, because with
// them devstack sees that the broker is ready; clients in Go send their messages with request 10.
func asking(o *devstack.Options) {
	const provider = "org.apache.rocketmq.auth.authentication.provider."
	user, _ := json.Marshal(map[string]string{"username": brokerUser, "password": brokerPassword})
	inner, _ := json.Marshal(map[string]string{
		"accessKey": brokerUser, "secretKey": brokerPassword,
	})
	o.Broker = map[string]string{
		"authenticationEnabled":                "true",
		"authenticationProvider":               provider + "DefaultAuthenticationProvider",
		"authenticationMetadataProvider":       provider + "LocalAuthenticationMetadataProvider",
		"authenticationWhitelist":              "17,25,26,310",
		"initAuthenticationUser":               string(user),
		"innerClientAuthenticationCredentials": string(inner),
	}
}

// credentials has servers of its own, because the rig's clients have none.
func credentials(ctx context.Context, r *faults.Rig) (err error) {
	options := devstack.Options{Home: r.Home, Prepare: r.Prepare}
	asking(&options)
	stack, err := devstack.Start(ctx, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stack.Close(context.WithoutCancel(ctx))) }()
	for _, keys := range [][2]string{{}, {brokerUser, "wrong"}, {"nobody", brokerPassword}} {
		if err := refusedProducer(ctx, r, stack, keys[0], keys[1]); err != nil {
			return err
		}
		if err := refusedConsumer(ctx, r, stack, keys[0], keys[1]); err != nil {
			return err
		}
	}
	return welcome(ctx, r, stack)
}

func producer(stack *devstack.Stack, user, password string) (*rocketmq.Producer, error) {
	return rocketmq.NewProducer(rocketmq.ProducerConfig{
		NameServers: []string{stack.Address(devstack.NameServer)}, Group: "faults-credentials",
		AccessKey: user, SecretKey: password,
	}, zap.NewNop())
}

func outgoing(r *faults.Rig) rocketmq.Outgoing {
	o := r.Sender.Order()
	return rocketmq.Outgoing{
		Topic: devstack.OrderTopic, Tag: "pay", Key: string(o.ID), Body: faults.Body(o),
	}
}

// taken is how many orders the broker has taken, as its user sees it.
func taken(ctx context.Context, stack *devstack.Stack) (int64, error) {
	admin, err := rocketmq.NewAdmin([]string{stack.Address(devstack.NameServer)},
		brokerUser, brokerPassword)
	if err != nil {
		return 0, err
	}
	queues, err := admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	var sum int64
	for _, q := range queues {
		sum += q.Max
	}
	return sum, err
}

// refusedProducer sends with credentials that are wrong: it is told so, and nothing is stored.
func refusedProducer(
	ctx context.Context, r *faults.Rig, stack *devstack.Stack, user, password string,
) error {
	p, err := producer(stack, user, password)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	_, err = p.Send(ctx, outgoing(r))
	if !errors.Is(err, rocketmq.ErrRefused) {
		return errors.Join(fmt.Errorf("a send as %q was not refused", user), err)
	}
	n, asked := taken(ctx, stack)
	if asked == nil && n != 0 {
		asked = fmt.Errorf("after the refusal the broker has %d orders", n)
	}
	if asked != nil {
		return asked
	}
	r.Journal.Fired("refused", "a send: "+err.Error())
	return nil
}

// refusedConsumer starts a consumer with credentials that are wrong: it ends and says why.
func refusedConsumer(
	ctx context.Context, r *faults.Rig, stack *devstack.Stack, user, password string,
) error {
	log := filepath.Join(r.Folder, fmt.Sprintf("credentials-%s-%s.log", user, password))
	_ = os.Remove(log)
	c, err := stack.Run(r.Consumer, log, nil, consumerKeys(user, password)...)
	if err != nil {
		return err
	}
	defer func() { _ = c.Kill() }()
	if err := faults.Until(ctx, "the consumer to give up", soon, func() bool {
		return !c.Alive()
	}); err != nil {
		return err
	}
	text, err := os.ReadFile(log)
	switch {
	case err != nil:
		return err
	case c.Exit() == nil:
		return errors.New("a consumer without credentials ended as if all were well")
	case !strings.Contains(string(text), "these keys may not consume"):
		return fmt.Errorf("a consumer with wrong credentials does not say so: see %s", log)
	case strings.Contains(string(text), brokerPassword):
		return fmt.Errorf("%s holds a password", log)
	}
	r.Journal.Fired("refused", "a consumer's start")
	return nil
}

func consumerKeys(user, password string) []string {
	env := []string{"PAYMENT_OPS_ADDRESS=127.0.0.1:0", "PAYMENT_ROCKETMQ_START_ATTEMPTS=2"}
	if user != "" {
		env = append(env, "PAYMENT_ROCKETMQ_ACCESS_KEY="+user,
			"PAYMENT_ROCKETMQ_SECRET_KEY="+password)
	}
	return env
}

// welcome shows that the broker was right to refuse: with the user's own credentials a consumer
// starts, and it handles what a producer sends.
func welcome(ctx context.Context, r *faults.Rig, stack *devstack.Stack) error {
	log := filepath.Join(r.Folder, "credentials.log")
	_ = os.Remove(log)
	c, err := stack.Run(r.Consumer, log, nil, consumerKeys(brokerUser, brokerPassword)...)
	if err != nil {
		return err
	}
	defer func() { _ = c.Kill() }()
	p, err := producer(stack, brokerUser, brokerPassword)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	if _, err := p.Send(ctx, outgoing(r)); err != nil {
		return err
	}
	return faults.Until(ctx, "an order to be declined", soon, func() bool {
		// The servers are new and have no accounts.
		text, err := stack.Query(ctx, "SELECT reason FROM payments")
		return err == nil && text == "unknown_account"
	})
}
