//go:build failpoints

package failpoint

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Enabled says whether this build has failpoints.
const Enabled = true

// Hit does what PAYMENT_TEST_FAILPOINT says about a point. It is safe for concurrent use.
func Hit(p Point) {
	for _, o := range orders() {
		if o.point == p && o.due() {
			o.obey()
		}
	}
}

// orders are read once, and a process with orders that cannot be read must not run as if it had
// none.
//
//nolint:gochecknoglobals // the environment of a process does not change
var orders = sync.OnceValue(func() []*order {
	list, err := parse(os.Getenv(Variable))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Variable, err)
		os.Exit(2)
	}
	return list
})

// order is one action at one point.
type order struct {
	point  Point
	action string
	length time.Duration // of sleep
	at     int64         // the hit that it happens at; 0 when share says it
	share  float64
	hits   atomic.Int64
}

func parse(text string) ([]*order, error) {
	var list []*order
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			continue
		}
		o, err := parseOne(item)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", item, err)
		}
		list = append(list, o)
	}
	return list, nil
}

func parseOne(item string) (_ *order, err error) {
	point, rest, _ := strings.Cut(item, "=")
	action, when, _ := strings.Cut(rest, "@")
	action, length, _ := strings.Cut(action, ":")
	o := &order{point: Point(point), action: action}
	if !slices.Contains(Points(), o.point) {
		return nil, fmt.Errorf("no such point; there are %v", Points())
	}
	switch action {
	case "kill", "panic", "stop":
	case "sleep":
		if o.length, err = time.ParseDuration(length); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("no such action; there are kill, panic, stop and sleep:DURATION")
	}
	if share, ok := strings.CutSuffix(when, "%"); ok {
		o.share, err = strconv.ParseFloat(share, 64)
		o.share /= 100
		return o, err
	}
	o.at, err = strconv.ParseInt(when, 10, 64)
	if err == nil && o.at < 1 {
		err = fmt.Errorf("hits are counted from 1")
	}
	return o, err
}

// due counts a hit and says whether it is the one.
func (o *order) due() bool {
	hit := o.hits.Add(1)
	if o.at > 0 {
		return hit == o.at
	}
	return rand.Float64() < o.share
}

func (o *order) obey() {
	fmt.Fprintf(os.Stderr, "failpoint %s %s\n", o.point, o.action)
	switch o.action {
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing after this point may happen, however late the signal comes
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "panic":
		panic("failpoint " + string(o.point))
	case "sleep":
		time.Sleep(o.length)
	}
}
