package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"example.com/payment/internal/bench/probe"
	"example.com/payment/internal/devstack"
	"example.com/payment/internal/order"
)

// warmUp messages are sent, and not measured, before each rate.
const warmUp = 100

// commitLimit is how long the last message may take to commit: the textbook falls far behind at
// the higher rates.
const commitLimit = 5 * time.Minute

// Latency is the distribution of one round at one rate, in milliseconds.
type Latency struct {
	Rate     int     `json:"rate"`
	Variant  Variant `json:"variant"`
	Messages int     `json:"messages"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	Max      float64 `json:"max_ms"`
}

// latencies measures service and textbook in turns.
func (r *rig) latencies(ctx context.Context, result *Result) error {
	for round := range r.Plan.LatencyRounds {
		for _, v := range []Variant{VariantService, VariantTextbook} {
			found, err := r.latency(ctx, v)
			if err != nil {
				return fmt.Errorf("latency of %s: %w", v, err)
			}
			for _, l := range found {
				r.say("%d/%d  latency at %4d/s %-9s p50 %7.1f ms  p99 %7.1f ms  p99.9 %7.1f ms",
					round+1, r.Plan.LatencyRounds, l.Rate, v, l.P50, l.P99, l.P999)
			}
			result.Latencies = append(result.Latencies, found...)
		}
	}
	return nil
}

// latency measures one program at each rate.
func (r *rig) latency(ctx context.Context, v Variant) (found []Latency, err error) {
	r.filled++
	m := mix{topic: fmt.Sprintf("BENCH_LATENCY_%d", r.filled)}
	if err := r.admin.CreateTopic(
		ctx, r.stack.Address(devstack.Broker), m.topic, queues); err != nil {
		return nil, err
	}
	at, err := r.empty(ctx, m.topic)
	if err != nil {
		return nil, err
	}
	at.probe = filepath.Join(r.folder, fmt.Sprintf("commits-%03d", r.launched+1))
	if err := os.RemoveAll(at.probe); err != nil { // an earlier measurement's, of the same orders
		return nil, err
	}
	program := v
	if v == VariantService {
		program = probed
	}
	s, err := r.launch(program, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Kill()) }()
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	for _, rate := range r.Plan.Rates {
		m.name = fmt.Sprintf("latency%d-%d", r.filled, rate)
		l, err := r.openLoop(ctx, m, rate, at.probe)
		if err != nil {
			return nil, fmt.Errorf("%d/s: %w", rate, err)
		}
		l.Variant = v
		found = append(found, l)
	}
	return found, nil
}

func (s *subject) awaitReady(ctx context.Context) error {
	for begin := time.Now(); ; {
		if s.Ready(ctx) {
			return nil
		}
		if !s.Alive() || time.Since(begin) > startLimit || ctx.Err() != nil {
			return fmt.Errorf("the consumer did not become ready: %s", s.LastLine())
		}
		time.Sleep(sampleEvery)
	}
}

// openLoop sends orders at a rate and reads when each was committed.
func (r *rig) openLoop(ctx context.Context, m mix, rate int, notes string) (Latency, error) {
	m.count = warmUp + int(r.Plan.Latency.Seconds()*float64(rate))
	due := make(map[string]time.Time, m.count)
	var sending sync.WaitGroup
	problems := make(chan error, 1)
	begin := time.Now().Add(100 * time.Millisecond)
	n := 0
	for out := range m.messages() {
		at := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if n++; n > warmUp {
			serial, _ := order.SerialOf(out.Body, order.DefaultLimits())
			due[string(serial)] = at
		}
		time.Sleep(time.Until(at))
		sending.Go(func() {
			if _, err := r.producer.Send(ctx, out); err != nil {
				select {
				case problems <- err:
				default: // the first of them is enough
				}
			}
		})
	}
	sending.Wait()
	select {
	case err := <-problems:
		return Latency{}, err
	default:
		return r.collect(ctx, rate, due, notes)
	}
}

// collect waits until every order is committed, and makes the distribution.
func (r *rig) collect(
	ctx context.Context, rate int, due map[string]time.Time, notes string,
) (Latency, error) {
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		committed, err := probe.Read(notes)
		if err != nil {
			return Latency{}, err
		}
		took := make([]time.Duration, 0, len(due))
		for serial, at := range due {
			if done, ok := committed[serial]; ok {
				took = append(took, done.Sub(at))
			}
		}
		switch {
		case len(took) == len(due):
			return distribution(rate, took)
		case ctx.Err() != nil:
			return Latency{}, ctx.Err()
		case time.Since(begin) > commitLimit:
			return Latency{}, fmt.Errorf("%d of %d orders were committed", len(took), len(due))
		}
	}
}

// distribution sums up what was measured, with three digits.
func distribution(rate int, took []time.Duration) (Latency, error) {
	histogram := hdrhistogram.New(1, commitLimit.Microseconds()*2, 3)
	for _, d := range took {
		if d < 0 {
			return Latency{}, fmt.Errorf("an order was committed %v before it was due", -d)
		}
		if err := histogram.RecordValue(max(d.Microseconds(), 1)); err != nil {
			return Latency{}, err
		}
	}
	at := func(percent float64) float64 {
		return float64(histogram.ValueAtQuantile(percent)) / 1000
	}
	return Latency{
		Rate: rate, Messages: len(took),
		P50: at(50), P99: at(99), P999: at(99.9), Max: float64(histogram.Max()) / 1000,
	}, nil
}
