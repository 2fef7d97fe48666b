package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Options say what stack to start. Home is required.
type Options struct {
	// Home is the folder that everything is kept under: the servers' files, and data.
	Home string
	// Background makes a stack that lives on when this process ends. Its data is in Home/data
	// and stays, and there is at most one. Otherwise the stack gets a folder of its own, which
	// Close removes.
	Background bool
	// KeepData makes Close leave a foreground stack's folder, logs included.
	KeepData bool
	// ProxyHost, such as 127.0.0.2, puts a proxy before the broker: clients are told to connect
	// to that loopback address, where Stack.Proxy listens.
	ProxyHost string
	// Broker are further settings of the broker, such as messageDelayLevel, its 18 delays by which
	// it spaces redeliveries: 1 s, 5 s, 10 s ... 2 h unless it is set.
	Broker map[string]string
	// MySQL are further settings of the database, such as log-bin, by the names that its option
	// file has.
	MySQL map[string]string
	// External are servers that run already and that the stack only uses.
	External External
	// Prepare is called once the database can be used, while the broker is still starting. It
	// is where the schema and the grants come from.
	Prepare func(context.Context, *Stack) error
	// Progress is told of each step, one call at a time.
	Progress func(Event)
}

func (o Options) check() error {
	if strings.ContainsRune(o.Home, os.PathListSeparator) {
		return fmt.Errorf("java cannot read files under %s because of the %q in it: set "+
			"PAYMENT_LAB_HOME to another folder", o.Home, os.PathListSeparator)
	}
	if o.ProxyHost != "" && o.External.rocketmqGiven() {
		return errors.New("a proxy goes before a broker of our own: unset PAYMENT_LAB_BROKER and " +
			"PAYMENT_LAB_NAME_SERVER")
	}
	return nil
}

// Event is a step of a start.
type Event struct {
	// Pending says that the step has only begun, and may take minutes; otherwise it is done.
	Pending bool
	// What is "files", "schema", or a server's name.
	What string
	// Detail is an address or another short word to show.
	Detail string
	Took   time.Duration
}

// Names that the stack and the programs agree on.
const (
	OrderTopic    = "ORDER_PAYMENT"
	ResultTopic   = "PAYMENT_RESULT"
	ConsumerGroup = "payment-consumer"
	DrainerGroup  = "payment-consumer-dlq"
	ResultsGroup  = "order-results"
)

// Topic is a topic that the stack creates.
type Topic struct {
	Name   string
	Queues int
}

// Topics returns the topics that a started stack has. A group's retry topic is made here and not
// by the broker, because a new group's first redelivery would otherwise take 30 s and more, and
// because a consumer that subscribes to a missing dead letter topic does not start.
func Topics() []Topic {
	return []Topic{
		{OrderTopic, 8},
		{ResultTopic, 8},
		{"%RETRY%" + ConsumerGroup, 1},
		{"%DLQ%" + ConsumerGroup, 1},
		{"%RETRY%" + DrainerGroup, 1},
		{"%RETRY%" + ResultsGroup, 1},
	}
}
