package lab

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// Numbers returns the counts.
func (s *State) Numbers() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers()
}

func (s *State) numbers() Counts {
	c := s.counts
	c.Outcomes, c.By = maps.Clone(c.Outcomes), maps.Clone(c.By)
	c.Waiting = s.sent.waiting
	c.Median = Steps{
		Wait: median(&s.times[0]), Cache: median(&s.times[1]), Find: median(&s.times[2]),
		Commit: median(&s.times[3]), Put: median(&s.times[4]),
	}
	return c
}

// Order is the order of writes in force.
func (s *State) Order() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order
}

// set replaces a part, which counts as a change only if it is one.
func set[T any](s *State, p part, to *T, value T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !reflect.DeepEqual(*to, value) {
		*to = value
		s.touch(p)
	}
}

// SetConsumers replaces what is known of the consumers.
func (s *State) SetConsumers(all []Consumer) { set(s, partConsumers, &s.consumers, all) }

// SetServers replaces what is known of the servers.
func (s *State) SetServers(all []Program) { set(s, partServers, &s.servers, all) }

// down says whether one of these servers does not run.
func (s *State) down(names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.servers, func(p Program) bool {
		return p.State == Down && slices.Contains(names, p.Name)
	})
}

// SetMachine replaces what broker and consumers say of themselves.
func (s *State) SetMachine(m Machine) { set(s, partMachine, &s.machine, m) }

// SetMoney replaces what accounts hold.
func (s *State) SetMoney(m Money) { set(s, partMoney, &s.money, m) }

// SetAudit replaces the verdict.
func (s *State) SetAudit(a Audit) { set(s, partAudit, &s.audit, &a) }

// SetQuarantine replaces how many messages are open in quarantine.
func (s *State) SetQuarantine(open int64) { set(s, partQuarantine, &s.quarantine, open) }

// Verdict returns the last verdict of the audit; ok is false before the first one.
func (s *State) Verdict() (a Audit, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audit == nil {
		return Audit{}, false
	}
	return *s.audit, true
}

// setTask adds a task or replaces it, and forgets the oldest ones that have ended.
func (s *State) setTask(t Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Lines = slices.Clone(t.Lines)
	i := slices.IndexFunc(s.tasks, func(old Task) bool { return old.ID == t.ID })
	if i >= 0 {
		s.tasks[i] = t
	} else {
		s.tasks = append(s.tasks, t)
	}
	for len(s.tasks) > keptTasks {
		over := slices.IndexFunc(s.tasks, func(old Task) bool { return old.State != TaskRunning })
		if over < 0 {
			break // there is a bound on those that run
		}
		s.tasks = slices.Delete(s.tasks, over, over+1)
	}
	s.touch(partTasks)
}

// Tick closes a second of the charts. Somebody calls it once a second.
func (s *State) Tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := s.second.close(s.now())
	s.second = secondSoFar{}
	s.seconds.add(func(uint64) Second { return closed })
}

// Cursor says what a page has seen. The zero value is that of a page that has seen nothing.
type Cursor struct {
	clock, began               uint64
	moves, deliveries, seconds uint64
}

// Next returns what a page has not seen, and moves its cursor; ok is false when there is nothing.
// A page that looks seldom sees fewer moves, and never more than fit into one frame.
func (s *State) Next(c *Cursor) (f Frame, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := *c
	f.Now = s.now().UnixMilli()
	if c.began != s.began {
		*c = Cursor{began: s.began, moves: s.moves.next} // what moved before was not seen moving
		f.Fresh, f.Order = true, s.order
	}
	s.parts(&f, c.clock)
	if moves := s.moves.after(c.moves); len(moves) > 0 {
		f.Moves = spread(moves, frameMoves)
		f.Skipped = int(s.moves.next-c.moves) - len(f.Moves)
	}
	f.Deliveries = last(s.deliveries.after(c.deliveries), frameDeliveries)
	f.Seconds = s.seconds.after(c.seconds)
	c.clock, c.moves, c.deliveries = s.clock, s.moves.next, s.deliveries.next
	c.seconds = s.seconds.next
	return f, *c != before
}

// parts puts the parts into a frame that have changed since.
func (s *State) parts(f *Frame, since uint64) {
	fresh := func(p part) bool { return s.changed[p] > since }
	if fresh(partCounts) {
		counts := s.numbers()
		f.Counts = &counts
	}
	if fresh(partConsumers) {
		f.Consumers = slices.Clone(s.consumers)
	}
	if fresh(partServers) {
		f.Servers = slices.Clone(s.servers)
	}
	if fresh(partMachine) {
		machine := s.machine
		f.Machine = &machine
	}
	if fresh(partMoney) {
		money := s.money
		f.Money = &money
	}
	if fresh(partAudit) && s.audit != nil {
		audit := *s.audit
		f.Audit = &audit
	}
	if fresh(partTasks) {
		f.Tasks = slices.Clone(s.tasks)
	}
	if fresh(partQuarantine) {
		open := s.quarantine
		f.Quarantine = &open
	}
}

// last returns the last n.
func last[T any](all []T, n int) []T { return all[max(0, len(all)-n):] }

// spread chooses n of all, evenly, the last one among them.
func spread[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	chosen := make([]T, n)
	for i := range chosen {
		chosen[i] = all[(i+1)*len(all)/n-1]
	}
	return chosen
}

func median(r *ring[int64]) int64 {
	all := slices.Clone(r.kept)
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// secondSoFar gathers what happens within one second.
type secondSoFar struct {
	all, paid int
	took      []time.Duration
}

// maxTimes bounds the latencies of one second: of more, every further one replaces an earlier one.
const maxTimes = 1024

func (s *secondSoFar) add(paid bool, took time.Duration) {
	s.all++
	if paid {
		s.paid++
	}
	switch {
	case took <= 0:
	case len(s.took) < maxTimes:
		s.took = append(s.took, took)
	default:
		s.took[s.all%maxTimes] = took
	}
}

func (s *secondSoFar) close(now time.Time) Second {
	closed := Second{At: now.Unix(), All: s.all, Paid: s.paid, Known: len(s.took)}
	if len(s.took) > 0 {
		slices.Sort(s.took)
		closed.P50US = s.took[len(s.took)/2].Microseconds()
		closed.P99US = s.took[len(s.took)*99/100].Microseconds()
	}
	return closed
}
