package soak

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rocketmqproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/faults"
)

// disturbance is one thing that the nemesis can do. It breaks something and mends it again, or
// leaves the mending to the next check.
type disturbance struct {
	name string
	do   func(context.Context, *soak) error
}

const payments = "INSERT INTO payments"

// disturbances are short forms of the catalogue's faults. In the cases they come one by one; here
// they come in any order, and some overlap.
func disturbances() []disturbance {
	list := []disturbance{
		{"kill", killOne},
		{"stop in order", stopOne},
		{"pause a consumer", pauseOne},
		{"flush", func(ctx context.Context, s *soak) error {
			return s.fired("flush", s.rig.Redis.FlushAll(ctx).Err())
		}},
		{"cut database connections", func(_ context.Context, s *soak) error {
			s.rig.Journal.FiredTimes("cut connections", s.rig.Database.CutAll(), "the proxy")
			return nil
		}},
		{"slow cache", func(ctx context.Context, s *soak) error {
			return s.while(ctx, "slow cache", func() error { return s.rig.Cache.Latency(time.Second) },
				s.rig.Cache.Reset)
		}},
		{"bytes one by one", func(ctx context.Context, s *soak) error {
			return s.while(ctx, "sliced", func() error { return s.rig.DatabaseLink.Slice(1, 0) },
				s.rig.DatabaseLink.Reset)
		}},
		{"lose a broker's answers", func(ctx context.Context, s *soak) error {
			return s.onBroker(ctx, "lost answer", rocketmqproxy.Sends(""), rocketmqproxy.LoseAnswer())
		}},
		{"cut at the acknowledgement", func(ctx context.Context, s *soak) error {
			return s.onBroker(ctx, "cut at acknowledgement",
				rocketmqproxy.Acknowledgements(""), rocketmqproxy.Cut())
		}},
		{"cut before COMMIT", func(ctx context.Context, s *soak) error {
			return s.onCommits(ctx, "cut before COMMIT", mysqlproxy.CutBefore())
		}},
		{"cut after COMMIT", func(ctx context.Context, s *soak) error {
			return s.onCommits(ctx, "cut after COMMIT", mysqlproxy.CutAfter())
		}},
		{"refuse results", func(ctx context.Context, s *soak) error {
			return s.onBroker(ctx, "refused result", rocketmqproxy.Sends(devstack.ResultTopic),
				rocketmqproxy.Refuse(rocketmqproxy.NotAvailable))
		}},
	}
	for _, server := range []devstack.Server{
		devstack.MySQL, devstack.Redis, devstack.Broker, devstack.NameServer,
	} {
		list = append(list, disturbance{"kill the " + string(server),
			func(ctx context.Context, s *soak) error { return s.killServer(ctx, server) }})
		list = append(list, disturbance{"pause the " + string(server),
			func(ctx context.Context, s *soak) error { return s.pauseServer(ctx, server) }})
	}
	return list
}

// moment is a short time that the seed chooses.
func (s *soak) moment() time.Duration {
	return time.Duration(500+s.rig.Random.IntN(4500)) * time.Millisecond
}

func (s *soak) fired(kind string, err error) error {
	if err == nil {
		s.rig.Journal.Fired(kind, "done")
	}
	return err
}

// wait waits for a moment.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// while lets something be broken for a moment.
func (s *soak) while(ctx context.Context, kind string, breaks, mends func() error) error {
	if err := breaks(); err != nil {
		return err
	}
	wait(ctx, s.moment())
	return s.fired(kind, mends())
}

// others are the consumers that may be killed: all but the one whose memory is watched.
func (s *soak) others() []*faults.Consumer {
	var others []*faults.Consumer
	for _, c := range s.rig.Alive() {
		if c != s.witness {
			others = append(others, c)
		}
	}
	return others
}

// replace starts consumers until there are as many as in the beginning.
func (s *soak) replace() error {
	for len(s.rig.Alive()) < consumers {
		if _, err := s.rig.Launch(); err != nil {
			return err
		}
	}
	return nil
}

func (s *soak) victim() *faults.Consumer {
	others := s.others()
	if len(others) == 0 {
		return nil
	}
	return others[s.rig.Random.IntN(len(others))]
}

func killOne(_ context.Context, s *soak) error {
	victim := s.victim()
	if victim == nil {
		return s.replace()
	}
	return errors.Join(victim.Kill(), s.replace())
}

func stopOne(ctx context.Context, s *soak) error {
	victim := s.victim()
	if victim == nil {
		return s.replace()
	}
	// One that has not started yet, because the servers are away, may end with an error.
	ready := victim.Ready(ctx)
	if err := victim.Stop(ctx); err != nil && ready {
		return fmt.Errorf("a consumer did not end in order: %w", err)
	}
	s.rig.Journal.Fired("stop in order", "exit status")
	return s.replace()
}

func pauseOne(ctx context.Context, s *soak) error {
	victim := s.victim()
	if victim == nil {
		return s.replace()
	}
	return s.while(ctx, "paused consumer", victim.Pause, victim.Continue)
}

// onCommits breaks one COMMIT in three for a moment.
func (s *soak) onCommits(ctx context.Context, kind string, fate mysqlproxy.Fate) error {
	broken := s.rig.Database.Add(mysqlproxy.CommitAfter(payments), fate,
		rule.Chance(0.3, s.rig.Random.Uint64()))
	wait(ctx, s.moment())
	broken.Remove()
	s.rig.Journal.FiredTimes(kind, broken.Fired(), "the proxy")
	return nil
}

// onBroker breaks one request of a kind in three for a moment.
func (s *soak) onBroker(
	ctx context.Context, kind string, match rocketmqproxy.Match, fate rocketmqproxy.Fate,
) error {
	broken := s.rig.Broker.Add(match, fate, rule.Chance(0.3, s.rig.Random.Uint64()))
	wait(ctx, s.moment())
	broken.Remove()
	s.rig.Journal.FiredTimes(kind, broken.Fired(), "the proxy")
	return nil
}

func (s *soak) killServer(ctx context.Context, server devstack.Server) error {
	if err := s.rig.Stack.Kill(server); err != nil {
		return err
	}
	s.rig.Journal.Fired("killed server", string(server))
	wait(ctx, s.moment())
	return s.rig.Stack.Restart(ctx, server)
}

func (s *soak) pauseServer(ctx context.Context, server devstack.Server) error {
	return s.while(ctx, "paused server",
		func() error { return s.rig.Stack.Pause(server) },
		func() error { return s.rig.Stack.Continue(server) })
}
