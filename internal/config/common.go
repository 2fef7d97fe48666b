package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Broker is how both programs reach RocketMQ.
type Broker struct {
	NameServers []string
	AccessKey   string
	SecretKey   Secret
}

// Sending bounds the sending of one message.
type Sending struct {
	SendTimeout  time.Duration
	SendAttempts int
}

// Log is how much is logged, and in which form.
type Log struct {
	Level, Format string
	// Burst is how many lines alike are logged in a second, of those that are no warnings; 0 for all.
	Burst int
}

// Tracing is where spans are sent, if anywhere, and of which part of the traces.
type Tracing struct {
	Endpoint string
	Percent  int
}

// concat joins the rows of several parts of a table.
func concat(parts ...[]setting) []setting { return slices.Concat(parts...) }

func topicName() parser[string] { return chars(1, 100, "_-") }
func groupName() parser[string] { return chars(1, 100, "_-") }
func userName() parser[string]  { return chars(1, 32, "_.-") }

func broker(c *Broker) []setting {
	return []setting{
		listed(shown(bind(&c.NameServers, "rocketmq.name_servers", "127.0.0.1:9876",
			hostPorts(), "The name servers of RocketMQ."))),
		bind(&c.AccessKey, "rocketmq.access_key", "", chars(0, 128, "_.-"),
			"The user of the broker, where it asks for one."),
		bindSecret(&c.SecretKey, "rocketmq.secret_key", "", anySecret(),
			"The password of rocketmq.access_key."),
	}
}

func orders(topic, tag, resultTopic *string) []setting {
	return []setting{
		bind(topic, "rocketmq.topic", "ORDER_PAYMENT", topicName(),
			"The topic of the orders."),
		bind(tag, "rocketmq.tag", "pay", chars(1, 64, "_-"),
			"The tag of the orders; messages of the topic with other tags are left alone."),
		bind(resultTopic, "rocketmq.result_topic", "PAYMENT_RESULT", topicName(),
			"The topic of the results."),
	}
}

func sending(c *Sending) []setting {
	return []setting{
		bind(&c.SendTimeout, "rocketmq.send_timeout_ms", "3000", millis(100, 60000),
			"How long one attempt to send a message may take."),
		bind(&c.SendAttempts, "rocketmq.send_attempts", "3", whole(1, 10),
			"How often one send is tried before its result counts as unknown."),
	}
}

func logging(c *Log, level, format string) []setting {
	return []setting{
		shown(bind(&c.Level, "log.level", level, choice("debug", "info", "warn", "error"),
			"How much is logged, to standard error. No level shows message bodies or secrets.")),
		shown(bind(&c.Format, "log.format", format, choice("json", "console"),
			"json for machines, console for people.")),
		bind(&c.Burst, "log.burst", "0", whole(0, 1_000_000),
			"How many lines alike may be logged in a second; of those beyond, one in a hundred is. "+
				"Warnings and errors are never left out. 0 logs everything."),
	}
}

func tracing(c *Tracing) []setting {
	return []setting{
		bind(&c.Endpoint, "tracing.endpoint", "", webAddress(),
			"Where OpenTelemetry spans are sent, by OTLP over HTTP. Without one there is no "+
				"tracing; the trace of an order is passed on to its result all the same."),
		bind(&c.Percent, "tracing.sample_percent", "1", whole(0, 100),
			"How many of a hundred traces that begin in this program are sampled. Traces that "+
				"began elsewhere are sampled as they were there."),
	}
}

// rule is a check between settings. It is skipped when one of them is not valid by itself.
type rule struct {
	keys []string
	ok   bool
	text string
}

func less[T cmp.Ordered](key string, value T, limitKey string, limit T, why string) rule {
	return rule{keys: []string{key, limitKey}, ok: value < limit,
		text: fmt.Sprintf("%s: %s must be less than %s, %s: %s",
			named(key), amount(value), named(limitKey), amount(limit), why)}
}

func atMost[T cmp.Ordered](key string, value T, limitKey string, limit T, why string) rule {
	r := less(key, value, limitKey, limit, why)
	r.ok = value <= limit
	r.text = fmt.Sprintf("%s: %s must not be more than %s, %s: %s",
		named(key), amount(value), named(limitKey), amount(limit), why)
	return r
}

func amount(value any) string { return fmt.Sprint(value) }

// together: a user without a password, or the reverse, is a mistake that the broker reports
// only as "signature mismatch".
func together(c *Broker) rule {
	return rule{
		keys: []string{"rocketmq.access_key", "rocketmq.secret_key"},
		ok:   (c.AccessKey != "") == c.SecretKey.IsSet(),
		text: fmt.Sprintf("%s and %s: only one of them is set; give both or neither",
			named("rocketmq.access_key"), named("rocketmq.secret_key")),
	}
}
