package rocketmq

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/remoting"
)

// Queues of the topics that a group has for itself; brokers make them with one queue too.
const groupTopicQueues = 1

// ErrSetup says that something is missing or wrong at the brokers, and names the command that
// puts it right.
var ErrSetup = errors.New("rocketmq: broker not set up")

// errLasting is wrapped, besides ErrSetup, by what stays wrong until somebody changes a setting. A
// missing topic may be made at any moment, by whoever sets the system up.
var errLasting = errors.New("waiting does not mend it")

// preflight checks what the consumer needs before the client is made: the client fails over
// a missing topic with a dead object, and over the rest not at all. All problems are told at once.
func (c *Consumer) preflight(ctx context.Context) error {
	if err := c.admin.Ping(ctx); err != nil {
		return fmt.Errorf("RocketMQ cannot be reached at %s: start it, or set %s: %w",
			strings.Join(c.config.NameServers, ","), NameServersSetting, err)
	}
	main, err := c.admin.Route(ctx, c.config.Topic)
	problems := []error{c.setUp(ctx, c.config.Topic, permRead, main, err)}
	for _, topic := range c.config.WriteTopics {
		route, err := c.admin.Route(ctx, topic)
		problems = append(problems, c.setUp(ctx, topic, permWrite, route, err))
	}
	for _, topic := range c.config.groupTopics() {
		problems = append(problems, c.checkGroupTopic(ctx, topic, main))
	}
	problems = append(problems, c.checkBrokers(ctx, main))
	return errors.Join(problems...)
}

// checkBrokers looks at the group's settings wherever the topic is. A broker that is down is no
// obstacle while another one is up.
func (c *Consumer) checkBrokers(ctx context.Context, main Route) error {
	var problems, down []error
	for _, b := range main.Brokers {
		if b.Address == "" {
			continue
		}
		err := c.checkAccess(ctx, b.Address)
		if err == nil {
			err = c.checkGroupConfig(ctx, b.Address)
		}
		if errors.Is(err, idem.ErrUnavailable) {
			down = append(down, fmt.Errorf("broker %s cannot be reached: %w", b.Name, err))
			continue
		}
		problems = append(problems, err)
	}
	if len(problems) == 0 {
		return errors.Join(down...)
	}
	for _, err := range down {
		c.log.Warn("a broker is down; its queues wait", zap.Error(err))
	}
	return errors.Join(problems...)
}

// groupTopics are the topics that the broker puts the group's failed messages into. It makes
// them at the first need, and clients learn of them half a minute later.
func (c ConsumerConfig) groupTopics() []string {
	if c.MaxRedeliveries == Unlimited {
		return []string{RetryTopic(c.Group)}
	}
	return []string{RetryTopic(c.Group), DeadLetterTopic(c.Group)}
}

// checkGroupTopic makes a topic of the group's own where it is missing.
func (c *Consumer) checkGroupTopic(ctx context.Context, topic string, main Route) error {
	route, err := c.admin.Route(ctx, topic)
	if !errors.Is(err, ErrNoTopic) {
		return c.setUp(ctx, topic, permWrite, route, err)
	}
	for _, b := range main.Brokers {
		if b.Address == "" {
			continue
		}
		err := c.admin.CreateTopic(ctx, b.Address, topic, groupTopicQueues)
		if refusedWith(err, respNoPermission) {
			return c.setUp(ctx, topic, permWrite, route, ErrNoTopic)
		}
		if err != nil {
			return err
		}
		c.log.Info("topic created", zap.String("topic", topic), zap.String("broker", b.Name))
	}
	return nil
}

// setUp turns the answer about a topic's route into nil or what to do.
func (c *Consumer) setUp(
	ctx context.Context, topic string, perm int, route Route, err error,
) error {
	if err == nil && (perm == permRead && route.Readable() || perm == permWrite && route.Writable()) {
		return nil
	}
	queues := groupTopicQueues
	if !strings.HasPrefix(topic, "%") {
		queues = 8
	}
	command := fmt.Sprintf("mqadmin updateTopic -n '%s' -c '%s' -t '%s' -r %d -w %d -p 6",
		strings.Join(c.config.NameServers, ";"), c.admin.cluster(ctx), topic, queues, queues)
	switch {
	case errors.Is(err, ErrNoTopic):
		return fmt.Errorf("%w: topic %s does not exist; make it with: %s", ErrSetup, topic, command)
	case err != nil:
		return err
	case perm == permRead:
		return fmt.Errorf("%w: topic %s cannot be read; allow it with: %s", ErrSetup, topic, command)
	default:
		return fmt.Errorf("%w: topic %s takes no messages (a broker is down or read-only); "+
			"if it is the topic: %s", ErrSetup, topic, command)
	}
}

// checkAccess asks what every member of the group asks. With wrong keys the client starts, is
// refused everything, and says so in its log only.
func (c *Consumer) checkAccess(ctx context.Context, addr string) error {
	_, err := c.admin.ask(ctx, addr, codeQueryCommitted, map[string]string{
		"topic": c.config.Topic, "queueId": "0", "consumerGroup": c.config.Group,
		"setZeroIfNotFound": "false",
	})
	if refusedWith(err, respNoPermission) {
		return fmt.Errorf("%w: these keys may not consume; set %s and %s: broker %w (%w)",
			ErrSetup, accessKeySetting, secretKeySetting, err, errLasting)
	}
	if errors.Is(err, idem.ErrUnavailable) {
		return err
	}
	return nil
}

// checkGroupConfig refuses a group whose failed messages would vanish: with no retry queue a
// broker answers that it has taken a message back, and stores nothing.
func (c *Consumer) checkGroupConfig(ctx context.Context, addr string) error {
	group, err := c.admin.group(ctx, addr, c.config.Group)
	command := fmt.Sprintf("mqadmin updateSubGroup -n '%s' -b %s -g %s -q 1 -s true",
		strings.Join(c.config.NameServers, ";"), addr, c.config.Group)
	switch {
	case errors.Is(err, errNoGroup):
		if c.admin.makesGroups(ctx, addr) {
			return nil
		}
		return fmt.Errorf("%w: consumer group %s does not exist on broker %s; make it with: %s",
			ErrSetup, c.config.Group, addr, command)
	case errors.Is(err, idem.ErrUnavailable):
		return err
	case err != nil:
		c.log.Warn("the group's settings cannot be read; make sure that retryQueueNums is not 0",
			zap.String("group", c.config.Group), zap.Error(err))
		return nil
	case group.RetryQueues == 0:
		return fmt.Errorf("%w: consumer group %s has retryQueueNums=0 on broker %s, which loses "+
			"every failed message; correct it with: %s (%w)",
			ErrSetup, c.config.Group, addr, command, errLasting)
	case !group.Enabled:
		return fmt.Errorf("%w: consumer group %s has consumeEnable=false on broker %s; "+
			"allow it with: %s (%w)", ErrSetup, c.config.Group, addr, command, errLasting)
	}
	return nil
}

// groupConfig is a consumer group's settings at a broker.
type groupConfig struct {
	Name        string `json:"groupName"`
	Enabled     bool   `json:"consumeEnable"`
	RetryQueues int    `json:"retryQueueNums"`
}

var errNoGroup = errors.New("no such group")

// group reads a group's settings: by itself from brokers of version 5, out of all of them from
// older ones.
func (a *Admin) group(ctx context.Context, addr, name string) (groupConfig, error) {
	got, err := a.ask(ctx, addr, codeGroup, map[string]string{"group": name})
	if refusedWith(err, respUnsupported) {
		return a.groupOfAll(ctx, addr, name)
	}
	if refusedWith(err, respGroupNotExist) {
		return groupConfig{}, errNoGroup
	}
	if err != nil {
		return groupConfig{}, err
	}
	var config groupConfig
	if err := json.Unmarshal(got.Body, &config); err != nil {
		return groupConfig{}, fmt.Errorf("%s: settings of group %s are not readable", addr, name)
	}
	return config, nil
}

func (a *Admin) groupOfAll(ctx context.Context, addr, name string) (groupConfig, error) {
	got, err := a.ask(ctx, addr, codeAllGroups, nil)
	if err != nil {
		return groupConfig{}, err
	}
	var all struct {
		Groups map[string]groupConfig `json:"subscriptionGroupTable"`
	}
	if err := json.Unmarshal(got.Body, &all); err != nil {
		return groupConfig{}, fmt.Errorf("%s: settings of groups are not readable", addr)
	}
	config, ok := all.Groups[name]
	if !ok {
		return groupConfig{}, errNoGroup
	}
	return config, nil
}

// makesGroups says whether a broker makes a group when its first member comes. Where it does not
// say, it does, as that is the default.
func (a *Admin) makesGroups(ctx context.Context, addr string) bool {
	got, err := a.ask(ctx, addr, remoting.BrokerConfig, nil)
	if err != nil {
		return true
	}
	lines := bufio.NewScanner(bytes.NewReader(got.Body))
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "autoCreateSubscriptionGroup=false" {
			return false
		}
	}
	return true
}
