package stage

import (
	"context"
	"slices"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/rocketmq"
)

// How often what is looked at. An audit reads the whole ledger.
const (
	consumersEvery  = 500 * time.Millisecond
	brokerEvery     = 500 * time.Millisecond
	databaseEvery   = 500 * time.Millisecond
	auditEvery      = 2 * time.Second
	brokerLimit     = 2 * time.Second
	databaseLimit   = 3 * time.Second
	auditLimit      = 30 * time.Second
	shownQuarantine = 100
)

// observe starts to watch, until ctx ends.
func (s *Stage) observe(ctx context.Context) {
	every := func(pause time.Duration, look func(context.Context)) {
		s.watch.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for ctx.Err() == nil {
				look(ctx)
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	every(time.Second, func(context.Context) { s.State.Tick() })
	every(consumersEvery, s.watchServers)
	every(brokerEvery, s.watchCrew)
	every(databaseEvery, func(ctx context.Context) { s.watchMoney(ctx); s.watchAside(ctx) })
	s.watch.Go(func() {
		for ctx.Err() == nil {
			of := s.ledger.Load()
			if verdict := s.audit(ctx); s.ledger.Load() == of { // else it is about the one before
				s.State.SetAudit(verdict)
			}
			wait, cancel := context.WithTimeout(ctx, auditEvery)
			select {
			case <-s.changed:
			case <-wait.Done():
			}
			cancel()
		}
	})
}

// word is what a server is called on the page and in its catalogue.
func word(name devstack.Server) string {
	switch name {
	case devstack.Redis:
		return "redis"
	case devstack.MySQL:
		return "mysql"
	case devstack.Broker:
		return "broker"
	case devstack.NameServer:
		return "namesrv"
	}
	return string(name)
}

func (s *Stage) watchServers(context.Context) {
	running, _ := s.Stack.Running()
	var servers []lab.Program
	for _, name := range []devstack.Server{
		devstack.NameServer, devstack.Broker, devstack.Redis, devstack.MySQL,
	} {
		state := lab.Down
		if slices.Contains(running, name) {
			state = lab.Up
		}
		servers = append(servers, lab.Program{Name: word(name), State: state})
	}
	s.State.SetServers(servers)
}

// watchCrew asks each consumer for its metrics, and the broker for the backlog.
func (s *Stage) watchCrew(ctx context.Context) {
	var machine lab.Machine
	var all []lab.Consumer
	var committed, batches float64
	var readers int64
	for _, one := range s.crew.shown() {
		c := lab.Consumer{Name: one.name, PID: one.process.PID(), State: one.fate}
		if c.State == "" {
			c.State = lab.Starting
			if m, ok := metricsOf(ctx, one); ok {
				c.Handled = int64(m.sum("messaging_client_consumed_messages_total"))
				c.InFlight = int64(m.sum("payment_inflight_messages"))
				c.Down = m.down()
				machine.Hits += int64(m.sum("payment_cache_lookups_total", `result="hit"`))
				machine.Misses += int64(m.sum("payment_cache_lookups_total", `result="miss"`))
				machine.Retries += int64(m.sum("payment_retries_total", `reason="redelivery"`))
				readers += int64(m.sum("payment_assigned_queues", `kind="orders"`))
				committed += m.sum("payment_commit_batch_size_sum")
				batches += m.sum("payment_commit_batch_size_count")
				c.State = lab.Waiting
				if one.process.Ready(ctx) {
					c.State = lab.Ready
				}
			}
		}
		all = append(all, c)
	}
	if readers > 0 {
		machine.Readers = &readers
	}
	machine.Commits = int64(batches)
	if batches > 0 {
		machine.Batch = committed / batches
	}
	quick, cancel := context.WithTimeout(ctx, brokerLimit)
	defer cancel()
	if queues, err := s.offsets(quick); err == nil {
		machine.Backlog = make([]int64, len(queues))
		for i, q := range queues {
			machine.Backlog[i] = q.Backlog()
		}
	}
	if ctx.Err() == nil {
		s.State.SetConsumers(all)
		s.State.SetMachine(machine)
	}
}

// offsets asks the broker for the queues of the orders.
func (s *Stage) offsets(ctx context.Context) ([]rocketmq.QueueOffsets, error) {
	return s.admin.Offsets(ctx, s.consumerGroup(), devstack.OrderTopic)
}

// metrics is a page of metrics.
type metrics string

func metricsOf(ctx context.Context, c consumer) (metrics, bool) {
	text, _, err := c.process.Page(ctx, "/metrics")
	return metrics(text), err == nil
}

// sum is Sum without what cannot be read, which is not shown.
func (m metrics) sum(name string, labels ...string) float64 {
	sum, _ := devstack.Metrics(m).Sum(name, labels...)
	return sum
}

// down names the dependencies that the consumer says are not there.
func (m metrics) down() (names []string) {
	for line := range strings.Lines(string(m)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), `payment_ready{dependency="`)
		if !found {
			continue
		}
		name, value, _ := strings.Cut(rest, `"} `)
		if value == "0" {
			names = append(names, name)
		}
	}
	return names
}

// watchMoney reads the accounts that the page shows.
func (s *Stage) watchMoney(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, databaseLimit)
	defer cancel()
	_ = s.withDB(func(db *mysql.DB) error {
		found, all, err := db.Balances(ctx, shownAccounts())
		if err != nil {
			return err // the page shows what was there last, and that the database is away
		}
		m := lab.Money{Count: all.Accounts, Opening: all.Opening, Balance: all.Minor}
		for _, b := range found {
			m.Accounts = append(m.Accounts, lab.Account{
				ID: string(b.Account), Currency: string(b.Currency), Opening: b.Opening, Balance: b.Minor,
			})
		}
		s.State.SetMoney(m)
		return nil
	})
}

// watchAside looks for messages in quarantine that are new. What was rejected has no answer: this
// is how the page learns of it.
func (s *Stage) watchAside(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, databaseLimit)
	defer cancel()
	_ = s.withDB(func(db *mysql.DB) error {
		q := mysql.NewQuarantine(db)
		groups, err := q.OpenGroups(ctx)
		if err != nil {
			return err
		}
		var open int64
		for _, g := range groups {
			open += g.Count
		}
		s.State.SetQuarantine(open)
		items, err := q.List(ctx, mysql.Filter{After: s.aside, Limit: shownQuarantine})
		for _, item := range items {
			s.aside = item.ID
			if item.Kind != payment.KindConflict { // a conflict has an answer
				s.State.Rejected(item.Serial, item.QueueID)
			}
		}
		return err
	})
}

// shownAccounts are those that the page shows. Orders go between them.
func shownAccounts() []order.Account {
	return []order.Account{"user-1", "user-2", "user-3", "user-4", "shop-1", "shop-2"}
}
