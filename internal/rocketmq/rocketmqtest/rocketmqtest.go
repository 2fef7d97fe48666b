// Package rocketmqtest is for the tests of programs that run RocketMQ's client.
package rocketmqtest

import "go.uber.org/goleak"

// Leaks are what a search for leaked goroutines leaves out: those that were there before, and the
// client's own. Its bookkeeping sleeps for up to a day after a shutdown, a waiting pull for 30 s,
// and the division of the queues that a start begins asks a broker for 3 s at a time.
func Leaks() []goleak.Option {
	const client = "github.com/apache/rocketmq-client-go/v2/"
	return []goleak.Option{
		goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction(client + "primitive.WithRecover"),
		goleak.IgnoreAnyFunction(client + "internal.(*rmqClient).RebalanceImmediately"),
		goleak.IgnoreAnyFunction(client + "consumer.(*pushConsumer).pullMessage"),
	}
}
