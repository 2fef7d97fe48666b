package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
)

// trafficLimit bounds the wait for what must come by itself on a machine that is busy.
const trafficLimit = 2 * time.Minute

// sendTogether sends orders side by side, so that each is on its way at the same time, and
// returns the messages in the order of the orders.
func sendTogether(
	ctx context.Context, r *faults.Rig, orders ...order.Order,
) []faults.Message {
	messages := make([]faults.Message, len(orders))
	var group sync.WaitGroup
	for i, o := range orders {
		group.Go(func() { messages[i] = r.Sender.Send(ctx, o) })
	}
	group.Wait()
	return messages
}

// newOrders makes so many orders.
func newOrders(r *faults.Rig, n int) []order.Order {
	orders := make([]order.Order, n)
	for i := range orders {
		orders[i] = r.Sender.Order()
	}
	return orders
}

// copiesOf returns the order so many times.
func copiesOf(o order.Order, times int) []order.Order {
	orders := make([]order.Order, times)
	for i := range orders {
		orders[i] = o
	}
	return orders
}

// decisions adds up what the consumers that run have decided; the labels are as /metrics has
// them.
func decisions(ctx context.Context, r *faults.Rig, labels ...string) int {
	return sumMetric(ctx, r, "payment_decisions_total", labels...)
}

// sumMetric adds up one metric of the consumers that run. One that does not answer counts
// nothing: whoever waits for a number looks again.
func sumMetric(ctx context.Context, r *faults.Rig, name string, labels ...string) int {
	sum := 0.0
	for _, c := range r.Alive() {
		if value, err := c.Metric(ctx, name, labels...); err == nil {
			sum += value
		}
	}
	return int(sum)
}

// metric reads a consumer's metric, for which one that is busy may take its time.
func metric(
	ctx context.Context, c *faults.Consumer, name string, labels ...string,
) (n float64, err error) {
	limitErr := faults.Until(ctx, "the metric "+name, soon, func() bool {
		n, err = c.Metric(ctx, name, labels...)
		return err == nil || !c.Alive()
	})
	return n, errors.Join(limitErr, err)
}

// underWay is how many deliveries a consumer has in its hands.
func underWay(ctx context.Context, c *faults.Consumer) (int, error) {
	n, err := metric(ctx, c, "payment_inflight_messages")
	return int(n), err
}

const (
	// patientEnv lets a consumer wait for a held statement longer than a case holds one. It gives a
	// batch up after 20 s.
	patientEnv = "PAYMENT_MYSQL_READ_TIMEOUT_SECONDS=18"
	// gatherLimit is how long transactions are held at most; it is below patientEnv.
	gatherLimit = 15 * time.Second
)

// startAlone starts a consumer with patientEnv, and waits until it reads all queues: as long as the
// group shares them with one that was there before, an order may lie where nobody reads.
func startAlone(ctx context.Context, r *faults.Rig) (*faults.Consumer, error) {
	c, err := r.Start(ctx, patientEnv)
	if err != nil {
		return nil, err
	}
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	if err != nil {
		return nil, err
	}
	all := fmt.Sprintf("reads %d queues", len(queues))
	return c, faults.Until(ctx, "the consumer to read all queues", soon, func() bool {
		page, _, err := c.Get(ctx, "/readyz")
		return err == nil && strings.Contains(page, all)
	})
}

// holdTransactions keeps the transactions of all consumers before their beginning, until the rule
// is removed and released.
func holdTransactions(r *faults.Rig) *mysqlproxy.Rule {
	return r.Database.Add(mysqlproxy.Containing("START TRANSACTION"), mysqlproxy.Hold(),
		rule.Always())
}

// gather makes a consumer that was started alone take orders into one batch: both of its committers
// are kept busy by an order each, until all the others wait.
func gather(
	ctx context.Context, r *faults.Rig, c *faults.Consumer, orders ...order.Order,
) ([]faults.Message, error) {
	limited, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	held := holdTransactions(r)
	defer held.Release()
	defer held.Remove() // a rule that is released would still be asked before the next one
	for n := range committers {
		r.Sender.Send(ctx, r.Sender.Order())
		if err := faults.Until(limited, "a held transaction", gatherLimit, func() bool {
			return held.Fired() > n
		}); err != nil {
			return nil, err
		}
	}
	messages := sendTogether(ctx, r, orders...)
	for _, m := range messages {
		if m.Status != faults.Acknowledged {
			return nil, fmt.Errorf("a send to the broker that nothing is wrong with: %s", m.Status)
		}
	}
	return messages, faults.Until(limited, fmt.Sprint(len(orders), " orders to wait"), gatherLimit,
		func() bool {
			waiting, err := c.Metric(ctx, "payment_waiting_messages")
			return err == nil && int(waiting) >= len(orders)
		})
}

// committers is how many transactions a consumer has under way at once.
const committers = 2
