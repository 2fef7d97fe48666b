package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/remoting"
)

// withBinaryLog makes the server write a log for replicas, which MariaDB by itself does not.
func withBinaryLog(o *devstack.Options) {
	o.MySQL = map[string]string{"log-bin": "binlog", "binlog-format": "ROW", "server-id": "1"}
}

// hazard is a setting under which a payment could be lost or made twice.
type hazard struct {
	// words are what the consumer must say of it, in one line.
	words string
	set   func(context.Context, *faults.Rig) (restore func() error, err error)
}

// hazards are what a consumer must refuse to start with.
func hazards() []hazard {
	table := func(words, alter, back string) hazard {
		return hazard{words, func(ctx context.Context, r *faults.Rig) (func() error, error) {
			return change(ctx, r, "ALTER TABLE "+alter, "ALTER TABLE "+back)
		}}
	}
	variable := func(words, name, value string) hazard {
		return hazard{words, func(ctx context.Context, r *faults.Rig) (func() error, error) {
			return setGlobal(ctx, r, value, name)
		}}
	}
	const serial = "payments MODIFY serial_no VARCHAR(64) CHARACTER SET ascii COLLATE "
	return []hazard{
		variable("innodb_flush_log_at_trx_commit is 2", "innodb_flush_log_at_trx_commit", "2"),
		variable("sync_binlog is 0", "sync_binlog", "0"),
		variable("max_allowed_packet is 1048576", "max_allowed_packet", "1048576"),
		variable("the server accepts a negative balance", "check_constraint_checks", "OFF"),
		{`sql_mode is ""`, lenient},
		table("column payments.serial_no has collation ascii_general_ci",
			serial+"ascii_general_ci NOT NULL", serial+"ascii_bin NOT NULL"),
		table("payments has no unique key on serial_no",
			"payments DROP PRIMARY KEY", "payments ADD PRIMARY KEY (serial_no)"),
		table("payments has no unique key on serial_no",
			"payments DROP PRIMARY KEY, ADD PRIMARY KEY (serial_no(20))",
			"payments DROP PRIMARY KEY, ADD PRIMARY KEY (serial_no)"),
		table("payments has no unique key on paid_order_id",
			"payments DROP INDEX uq_payments_paid_order",
			"payments ADD CONSTRAINT uq_payments_paid_order UNIQUE (paid_order_id)"),
		table("accounts has no unique key on account_id",
			"accounts DROP PRIMARY KEY", "accounts ADD PRIMARY KEY (account_id)"),
		table("ledger_entries has no unique key on account_id,serial_no",
			"ledger_entries DROP PRIMARY KEY",
			"ledger_entries ADD PRIMARY KEY (account_id, serial_no)"),
		{devstack.ConsumerGroup + " has retryQueueNums=0", func(
			ctx context.Context, r *faults.Rig,
		) (func() error, error) {
			restore := func() error { return setRetryQueues(context.WithoutCancel(ctx), r, 1) }
			return restore, setRetryQueues(ctx, r, 0)
		}},
	}
}

// lenient is a server that bends values to fit, behind a pool of connections that does not let a
// session have a mode of its own.
func lenient(ctx context.Context, r *faults.Rig) (restore func() error, err error) {
	ignored := r.Database.Add(mysqlproxy.Containing("sql_mode"), mysqlproxy.Accept(),
		rule.Always())
	back, err := setGlobal(ctx, r, "", "sql_mode")
	if err != nil {
		ignored.Remove()
		return nil, err
	}
	return func() error { ignored.Remove(); return back() }, nil
}

// setRetryQueues sets how many queues the broker has for what the group gives back. With none it
// answers that it has taken a message, and forgets it.
func setRetryQueues(ctx context.Context, r *faults.Rig, queues int) error {
	const updateGroup = 200
	body, err := json.Marshal(map[string]any{
		"groupName": devstack.ConsumerGroup, "consumeEnable": true, "consumeFromMinEnable": true,
		"consumeBroadcastEnable": true, "retryMaxTimes": 16, "retryQueueNums": queues,
		"brokerId": 0, "whichBrokerWhenConsumeSlowly": 1, "notifyConsumerIdsChangedEnable": true,
	})
	if err != nil {
		return err
	}
	_, err = remoting.Call(ctx, r.Stack.Address(devstack.Broker), updateGroup, nil, body)
	return err
}

// refuseUnsafe starts a consumer under each hazard, and then one under none.
func refuseUnsafe(ctx context.Context, r *faults.Rig) error {
	for _, h := range hazards() {
		err := h.refused(ctx, r)
		if errors.Is(err, errNoVariable) {
			r.Say("%v", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", h.words, err)
		}
		r.Journal.Fired("unsafe setting", h.words)
	}
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	return told(ctx, r, order.Paid, r.Sender.Send(ctx, r.Sender.Order()))
}

// refused starts a consumer under a hazard: it ends, and says why in one line.
func (h hazard) refused(ctx context.Context, r *faults.Rig) (err error) {
	restore, err := h.set(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	c, err := r.Launch("PAYMENT_ROCKETMQ_START_ATTEMPTS=1")
	if err != nil {
		return err
	}
	reasons, err := c.AwaitRefusal(ctx)
	if err != nil {
		return err
	}
	if len(reasons) != 1 || !strings.Contains(reasons[0], h.words) {
		return fmt.Errorf("the consumer ended, and said %q", reasons)
	}
	return nil
}
