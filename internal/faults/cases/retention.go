package cases

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/remoting"
)

// deleteExpired makes a broker delete the files of its commit log that are older than it has to
// keep them, at its next round of cleaning: the first is a minute after its start, then there is
// one every ten seconds. By itself it deletes at four in the morning.
const deleteExpired = 329

// smallFiles makes the broker begin a new file with every mebibyte, because it deletes whole files.
func smallFiles(o *devstack.Options) {
	if o.Broker == nil {
		o.Broker = map[string]string{}
	}
	o.Broker["mappedFileSizeCommitLog"] = strconv.Itoa(mebibyte)
	o.Broker["maxMessageSize"] = strconv.Itoa(mebibyte / 4)
}

// retention: orders are deleted before anybody reads them. Nothing brings them back, so it must be
// seen and counted to the message, and said until somebody has taken notice; the rest is paid.
func retention(ctx context.Context, r *faults.Rig) error {
	c, err := r.Start(ctx)
	if err != nil {
		return err
	}
	r.Sender.Load(ctx, faults.Usual(100))
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	for range 150 {
		// Large orders fill the log quickly.
		o := r.Sender.Order()
		r.Sender.Raw(ctx, string(o.ID), bytes.Replace(faults.Body(o), []byte(`"memo":"`),
			[]byte(`"memo":"`+strings.Repeat("x", 40<<10)), 1))
	}
	deleted, err := deleteUnread(ctx, r)
	if err != nil {
		return err
	}
	r.Journal.FiredTimes("deleted unread", deleted, "the broker's offsets")
	if c, err = r.Launch(); err != nil {
		return err
	}
	if err := noticed(ctx, r, c, deleted); err != nil {
		return err
	}
	if err := c.Stop(ctx); err != nil {
		return err
	}
	// A restart is how somebody says that they have taken notice.
	if c, err = r.Start(ctx); err != nil {
		return err
	}
	r.Sender.Load(ctx, faults.Usual(100))
	return secondGroup(ctx, r, c)
}

// deleteUnread has the broker delete what it need not keep, which is everything, and returns how
// many orders have gone that no consumer has read.
func deleteUnread(ctx context.Context, r *faults.Rig) (int, error) {
	keepHours := func(hours int) error {
		_, err := remoting.Call(ctx, r.Stack.Address(devstack.Broker), remoting.UpdateConfig, nil,
			fmt.Appendf(nil, "fileReservedTime=%d\n", hours))
		return err
	}
	if err := keepHours(0); err != nil {
		return 0, err
	}
	broker := r.Stack.Address(devstack.Broker)
	if _, err := remoting.Call(ctx, broker, deleteExpired, nil, nil); err != nil {
		return 0, err
	}
	if err := faults.Until(ctx, "the broker to delete messages", soon, func() bool {
		n, err := unreadGone(ctx, r)
		return err == nil && n > 0
	}); err != nil {
		return 0, err
	}
	if err := keepHours(72); err != nil {
		return 0, err
	}
	// A round that has begun is finished; the next one finds nothing to delete.
	gone := -1
	for {
		n, err := unreadGone(ctx, r)
		if err != nil || n == gone {
			return n, errors.Join(err, r.Deleted(ctx))
		}
		gone = n
		time.Sleep(3 * time.Second)
	}
}

// unreadGone counts the orders between what the group has read and what the broker still has.
func unreadGone(ctx context.Context, r *faults.Rig) (int, error) {
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, devstack.OrderTopic)
	var gone int64
	for _, q := range queues {
		gone += max(0, q.Min-max(q.Committed, 0))
	}
	return int(gone), err
}

// noticed waits until a consumer has said that messages are missing, and how many, has read all
// that there still is, and is not ready all the same.
func noticed(ctx context.Context, r *faults.Rig, c *faults.Consumer, deleted int) error {
	if err := faults.Until(ctx, "the missing messages to be counted", soon, func() bool {
		n, err := c.Metric(ctx, "payment_jumped_messages_total")
		return err == nil && int(n) >= deleted
	}); err != nil {
		return err
	}
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	if err := faults.Until(ctx, "the group's offsets to be corrected", soon, func() bool {
		n, err := unreadGone(ctx, r)
		return err == nil && n == 0
	}); err != nil {
		return err
	}
	n, err := metric(ctx, c, "payment_jumped_messages_total")
	switch {
	case err != nil:
		return err
	case int(n) != deleted:
		return fmt.Errorf("%.0f messages were counted as missing, want %d", n, deleted)
	case c.Ready(ctx):
		return errors.New("ready although messages are missing")
	case !c.Says("messages were deleted before they were consumed"):
		return errors.New("the log says nothing of missing messages")
	}
	up, err := metric(ctx, c, "payment_ready", `dependency="orders"`)
	if err == nil && up != 0 {
		err = errors.New("not ready, and not because of the orders")
	}
	return err
}
