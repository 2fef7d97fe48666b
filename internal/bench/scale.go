package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ScalePlan says how far the service is followed.
type ScalePlan struct {
	// Processes, Queues and Rows are the numbers that are tried, the smallest first.
	Processes, Queues, Rows []int
	// Rounds is how often each is measured, and Time for how long.
	Rounds int
	Time   time.Duration
	// Backlog is how many orders wait, which must be more than are paid in a run.
	Backlog int
}

// NewScalePlan returns the whole plan, which takes about half an hour.
func NewScalePlan() ScalePlan {
	return ScalePlan{
		Processes: []int{1, 2, 4}, Queues: []int{1, 2, 4, 8, 16},
		Rows:   []int{10_000, 100_000, 1_000_000, 10_000_000},
		Rounds: 3, Time: 5 * time.Second, Backlog: 400_000,
	}
}

func (p ScalePlan) check() error {
	if p.Rounds < 1 {
		return fmt.Errorf("%d rounds: must be at least 1", p.Rounds)
	}
	for _, series := range [][]int{p.Processes, p.Queues, p.Rows} {
		if len(series) > 0 && (series[0] < 1 || !slices.IsSorted(series)) {
			return fmt.Errorf("%v: must be positive numbers, the smallest first", series)
		}
	}
	return nil
}

// Scale is the throughput of the service, with new orders and results, as one number grows.
type Scale struct {
	Machine   Machine `json:"machine"`
	Processes []Point `json:"processes"`
	Queues    []Point `json:"queues"`
	Rows      []Point `json:"rows"`
}

// Point is the throughput at one number.
type Point struct {
	N         int       `json:"n"`
	PerSecond []float64 `json:"per_second"`
	// Beside is the throughput of the case that it is compared with, run by turns.
	Beside []float64 `json:"beside_per_second"`
	// Ratio is the median of the rounds' ratios.
	Ratio float64 `json:"ratio"`
}

// MeasureScale follows the plan. Each number is compared with a run under the usual
// conditions: one process, eight queues, empty tables.
func MeasureScale(ctx context.Context, cfg Config, plan ScalePlan) (scale Scale, err error) {
	if err := plan.check(); err != nil {
		return scale, err
	}
	r, err := open(ctx, cfg)
	if err != nil {
		return scale, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		err = errors.Join(err, r.close(end))
	}()
	s := &scaling{rig: r, plan: plan, made: map[string]bool{}}
	scale.Machine = r.machine(ctx)
	if err := r.fill(ctx, mix{topic: newTopic, name: "new", count: plan.Backlog}); err != nil {
		return scale, err
	}
	if scale.Processes, err = s.points(ctx, "processes", plan.Processes, s.processes); err != nil {
		return scale, err
	}
	if scale.Queues, err = s.points(ctx, "queues", plan.Queues, s.queues); err != nil {
		return scale, err
	}
	scale.Rows, err = s.points(ctx, "rows", plan.Rows, s.rows)
	return scale, err
}

// scaling is a rig that follows a plan.
type scaling struct {
	*rig
	plan ScalePlan
	paid int             // rows that the large table was filled with
	made map[string]bool // topics that were filled
}

// points measures one after the other, and the usual case beside each.
func (s *scaling) points(
	ctx context.Context, what string, numbers []int,
	measure func(ctx context.Context, n int) (float64, error),
) (points []Point, err error) {
	for _, n := range numbers {
		p := Point{N: n}
		for range s.plan.Rounds {
			usual, err := s.usual(ctx)
			if err != nil {
				return nil, err
			}
			rate, err := measure(ctx, n)
			if err != nil {
				return nil, fmt.Errorf("%d %s: %w", n, what, err)
			}
			p.PerSecond, p.Beside = append(p.PerSecond, rate), append(p.Beside, usual)
		}
		p.Ratio = median(quotients(p.PerSecond, p.Beside))
		s.say("%9d %-10s %9.0f/s  %.2f of the usual case", n, what, median(p.PerSecond), p.Ratio)
		points = append(points, p)
	}
	return points, nil
}

func (s *scaling) usual(ctx context.Context) (float64, error) { return s.processes(ctx, 1) }

func (s *scaling) processes(ctx context.Context, n int) (float64, error) {
	at, err := s.empty(ctx, newTopic)
	if err != nil {
		return 0, err
	}
	return s.together(ctx, at, n)
}

func (s *scaling) queues(ctx context.Context, n int) (float64, error) {
	topic := fmt.Sprintf("BENCH_QUEUES_%d", n)
	if !s.made[topic] {
		if err := s.fill(ctx, mix{
			topic: topic, name: fmt.Sprintf("queues%d", n), count: s.plan.Backlog, queues: n,
		}); err != nil {
			return 0, err
		}
		s.made[topic] = true
	}
	at, err := s.empty(ctx, topic)
	if err != nil {
		return 0, err
	}
	return s.together(ctx, at, 1)
}

// fewRows are soon filled in again. So many would not stay so few otherwise: each run pays more.
const fewRows = 100_000

func (s *scaling) rows(ctx context.Context, n int) (float64, error) {
	if n <= fewRows {
		if err := s.emptyTables(ctx, largeDatabase); err != nil {
			return 0, err
		}
		s.paid = 0
	}
	if err := s.fillTables(ctx, s.paid, n); err != nil {
		return 0, err
	}
	s.paid = max(s.paid, n)
	at, err := s.large(ctx, s.plan.Backlog)
	if err != nil {
		return 0, err
	}
	return s.together(ctx, at, 1)
}

// together measures n processes of one group, from when all of them have queues.
func (s *scaling) together(ctx context.Context, at scene, n int) (rate float64, err error) {
	at.group = fmt.Sprintf("bench-%d", s.launched+1)
	var all crew
	defer func() { err = errors.Join(err, all.kill()) }()
	for range n {
		one, err := s.launch(VariantService, at)
		if err != nil {
			return 0, err
		}
		all = append(all, one)
	}
	for _, one := range all {
		if err := one.awaitReady(ctx); err != nil {
			return 0, err
		}
	}
	first, last, err := s.follow(ctx, all, s.plan.Backlog, s.plan.Time)
	if err != nil {
		return 0, err
	}
	if last.counts.total() >= s.plan.Backlog {
		return 0, errors.New("the backlog is too small: it ended within the run's time")
	}
	// Queues that change hands bring some messages twice.
	if err := only(last.counts, "paid", "duplicate"); err != nil {
		return 0, err
	}
	run, err := newRun(first, last)
	return run.PerSecond, err
}
