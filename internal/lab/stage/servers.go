package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/lab"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/internal/textbook"
)

func (s *Stage) flush(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	if err := s.Stack.FlushCache(ctx); err != nil {
		return err
	}
	tell(line("did.flushed"))
	return nil
}

// stopper kills a server, as a crash would. What it had promised to keep is on its disk.
func (s *Stage) stopper(name devstack.Server) deed {
	return func(_ context.Context, _ lab.Input, tell func(lab.Line)) error {
		if running, _ := s.Stack.Running(); !slices.Contains(running, name) {
			return fmt.Errorf("the %s does not run", name)
		}
		if err := s.Stack.Kill(name); err != nil {
			return err
		}
		tell(line("did.stopped." + word(name)))
		return nil
	}
}

func (s *Stage) starter(name devstack.Server) deed {
	return func(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
		if running, _ := s.Stack.Running(); slices.Contains(running, name) {
			return fmt.Errorf("the %s runs already", name)
		}
		begin := time.Now()
		if err := s.Stack.Restart(ctx, name); err != nil {
			return err
		}
		tell(line("did.started."+word(name), "s", seconds(time.Since(begin))))
		return nil
	}
}

// regroup makes a new group of consumers, which begins where the ledger did. Set back, the old one
// would read nothing for a while: a running client notices after half a minute, and the broker may
// keep a share of the queues for a client that has just left, for up to a minute.
func (s *Stage) regroup(ctx context.Context) error {
	s.mu.Lock()
	s.groups++
	s.group = fmt.Sprintf("%s-%d", devstack.ConsumerGroup, 1+s.groups)
	group, begin := s.group, slices.Clone(s.begin)
	s.mu.Unlock()
	for i := range begin {
		begin[i].Committed = begin[i].Max // which was the end, then
	}
	return s.admin.Seek(ctx, group, begin)
}

func (s *Stage) consumerGroup() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.group
}

// replay lets the consumers start anew as another group, which is delivered everything again.
func (s *Stage) replay(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
	before := s.State.Numbers()
	paidBefore, err := s.paid(ctx)
	if err != nil {
		return err
	}
	living := s.crew.living()
	if err := s.dismiss(ctx, living); err != nil {
		return err
	}
	if err := s.regroup(ctx); err != nil {
		return errors.Join(err, s.hire(ctx, max(len(living), 1)))
	}
	again, err := s.backlog(ctx)
	if err != nil {
		return err
	}
	tell(line("did.rewound", "n", again))
	if err := s.hire(ctx, max(len(living), 1)); err != nil {
		return err
	}
	err = devstack.Until(ctx, "the answers", answerLimit, func() bool {
		now := s.State.Numbers()
		answers := now.Deliveries + now.Outcomes[order.Rejected.String()]
		return answers-before.Deliveries-before.Outcomes[order.Rejected.String()] >= again ||
			s.drained(ctx)
	})
	if err != nil {
		return err
	}
	paidAfter, err := s.paid(ctx)
	now := s.State.Numbers()
	tell(line("did.replayed", "n", now.Deliveries-before.Deliveries, "more", paidAfter-paidBefore,
		"paid", paidAfter, "cache", now.By["cache"]-before.By["cache"],
		"database", now.By["database"]-before.By["database"]))
	return err
}

// drained says whether the group has acknowledged everything.
func (s *Stage) drained(ctx context.Context) bool {
	backlog, err := s.backlog(ctx)
	return err == nil && backlog == 0
}

// backlog counts what the group has not acknowledged.
func (s *Stage) backlog(ctx context.Context) (n int64, err error) {
	queues, err := s.offsets(ctx)
	for _, q := range queues {
		n += q.Backlog()
	}
	return n, err
}

// paid counts the payments in the database.
func (s *Stage) paid(ctx context.Context) (n int64, err error) {
	err = s.withDB(func(db *mysql.DB) error {
		counts, err := db.CountPayments(ctx)
		n = counts[order.Paid.String()]
		return err
	})
	return n, err
}

// writer begins a new ledger whose consumers write in another order. The wrong ones need tables
// that the right one would refuse: without the keys that make its promise true.
func (s *Stage) writer(o textbook.Order) deed {
	return func(ctx context.Context, _ lab.Input, tell func(lab.Line)) error {
		if running, all := s.Stack.Running(); !all {
			return fmt.Errorf("only %s run: start the other servers first", names(running))
		}
		living := s.crew.living()
		if err := s.dismiss(ctx, living); err != nil {
			return err
		}
		if err := s.newLedger(ctx, o); err != nil {
			return err
		}
		tell(line("did.ledger."+string(o), "n", 2))
		if err := s.hire(ctx, 2); err != nil {
			return err
		}
		tell(line("did.try." + string(o)))
		return nil
	}
}

func names(servers []devstack.Server) string {
	words := make([]string, len(servers))
	for i, name := range servers {
		words[i] = string(name)
	}
	return strings.Join(words, ", ")
}

// newLedger empties the database and the cache. No consumer runs.
func (s *Stage) newLedger(ctx context.Context, o textbook.Order) error {
	s.ledger.Add(1)
	defer s.ledger.Add(1)
	database := s.Stack.Variables()["PAYMENT_MYSQL_DATABASE"]
	_, err := s.Stack.Query(ctx, "DROP DATABASE "+database+"; CREATE DATABASE "+database+
		" CHARACTER SET utf8mb4")
	if err != nil {
		return err
	}
	if err := s.Prepare(ctx, s.Stack); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if schema := textbook.Schema(o); schema != "" {
		if _, err := s.Stack.Query(ctx, schema); err != nil {
			return err
		}
	}
	if err := s.Stack.FlushCache(ctx); err != nil {
		return err
	}
	begin, err := s.offsets(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.begin, s.order, s.last = begin, o, order.Order{}
	s.mu.Unlock()
	s.State.NewLedger(string(o))
	return errors.Join(s.regroup(ctx), s.reconnect())
}
