package config

// Producer is what order-producer can be told.
type Producer struct {
	RocketMQ ProducerRocketMQ
	Log      Log
	Tracing  Tracing
	// Settings lists every setting with its value and its source, secrets redacted.
	Settings Settings
}

// ProducerRocketMQ is where orders are sent and results are read.
type ProducerRocketMQ struct {
	Broker
	Sending
	Topic, Tag, ResultTopic string
	ResultsGroup            string
	// UnknownRepeats is how often an order is sent again after a send of unknown result.
	UnknownRepeats int
}

// producerTable is every setting of the producer, bound to the fields of p. Settings that the
// consumer has too are made by the same functions, for both are run from one environment.
func producerTable(p *Producer) []setting {
	c := &p.RocketMQ
	return withFiles(concat(
		broker(&c.Broker), orders(&c.Topic, &c.Tag, &c.ResultTopic), []setting{
			bind(&c.ResultsGroup, "rocketmq.results_group", "order-results", groupName(),
				"The consumer group that reads the results for `order-producer results`."),
		}, sending(&c.Sending), []setting{
			bind(&c.UnknownRepeats, "rocketmq.unknown_repeats", "5", whole(0, 100),
				"How often an order is sent again, with the same serial number, while nobody "+
					"can say whether the broker has stored it."),
		}, logging(&p.Log, "warn", "console"), tracing(&p.Tracing),
	))
}

// producerRules are the checks between settings.
func producerRules(p *Producer) []rule {
	return []rule{together(&p.RocketMQ.Broker)}
}
