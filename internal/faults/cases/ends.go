package cases

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/failpoint"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/rocketmq"
)

const (
	// ends is how many consumers are told to end, one after the other.
	ends = 6
	// graceEnv gives them time to finish, however busy the machine is.
	graceEnv = "PAYMENT_SHUTDOWN_GRACE_SECONDS=80"
)

// endConsumers tells the only consumer to end while it is in the middle of something, and starts
// the next one. What a consumer had begun it finishes: everything that its handlers were given is
// answered. What it finished does not come again, with the exception that the protocol makes: a
// queue is acknowledged up to its first message that is not done, and those behind it come again.
func endConsumers(ctx context.Context, r *faults.Rig) error {
	stop := sync.OnceValue(r.Sender.Background(ctx, answerable()))
	defer stop()
	first := len(r.Record.All())
	var ended []*end
	for range ends {
		one, err := endOne(ctx, r)
		if err != nil {
			return err
		}
		ended = append(ended, one)
	}
	stop()
	if _, err := r.Start(ctx); err != nil {
		return err
	}
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	if err := finished(ctx, r, ended); err != nil {
		return err
	}
	return comeAgain(r, ended, r.Record.All()[first:])
}

// finished wants each consumer to have answered everything that its handlers were given.
func finished(ctx context.Context, r *faults.Rig, ended []*end) error {
	if err := faults.Until(ctx, "all answers to be read", soon, func() bool {
		return r.Answers.CaughtUp(ctx) == nil
	}); err != nil {
		return err
	}
	answered := map[string]int{}
	for _, a := range r.Answers.All() {
		answered[a.Instance]++
	}
	for _, one := range ended {
		if answered[one.instance] < one.delivered {
			return fmt.Errorf("a consumer that was told to end has begun %d messages and answered %d",
				one.delivered, answered[one.instance])
		}
	}
	return nil
}

// end is what a consumer says of itself.
type end struct {
	instance  string
	delivered int
}

// endOne starts a consumer, tells it to end while it has messages in its hands, and wants exit
// status 0.
func endOne(ctx context.Context, r *faults.Rig) (*end, error) {
	// It lingers between its commit and the cache, so that there is always something under way, and
	// for longer than an end takes that waits for nobody.
	c, err := r.Failing(failpoint.Committed, "sleep:2s@30%", graceEnv)
	if err != nil {
		return nil, err
	}
	if err := c.AwaitReady(ctx); err != nil {
		return nil, err
	}
	if err := payments(ctx, r); err != nil {
		return nil, err
	}
	moment(ctx, r)
	var busy int
	if err := faults.Until(ctx, "messages under way", trafficLimit, func() bool {
		busy, _ = underWay(ctx, c)
		return busy > 0
	}); err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := c.Stop(ctx); err != nil {
		return nil, fmt.Errorf("a consumer that was told to end: %w", err)
	}
	r.Journal.Fired("ended in order", "exit status 0, with messages under way")
	r.Say("a consumer with %d messages under way took %v to end", busy,
		time.Since(begin).Round(time.Millisecond))
	return readEnd(c)
}

// instanceName and delivered are how a consumer's log names it, and what each of its two readers
// says at its end. What it has rejected nobody is told of: an earlier case's may come again here.
var (
	rejected     = regexp.MustCompile(`"msg":"delivery","outcome":"rejected"`)
	instanceName = regexp.MustCompile(`"msg":"consuming".*"instance":"([^"]+)"`)
	delivered    = regexp.MustCompile(`"msg":"consumer drained","delivered":(\d+)`)
)

// instance is how a consumer calls itself in its answers.
func instance(c *faults.Consumer) (string, error) {
	text, err := os.ReadFile(c.Log)
	if err != nil {
		return "", err
	}
	name := instanceName.FindSubmatch(text)
	if name == nil {
		return "", fmt.Errorf("%s does not say whose it is", c.Log)
	}
	return string(name[1]), nil
}

func readEnd(c *faults.Consumer) (*end, error) {
	name, err := instance(c)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(c.Log)
	if err != nil {
		return nil, err
	}
	drained := delivered.FindAllSubmatch(text, -1)
	if len(drained) != 2 {
		return nil, fmt.Errorf("%s does not say that both readers have drained", c.Log)
	}
	one := &end{instance: name, delivered: -len(rejected.FindAll(text, -1))}
	for _, match := range drained {
		n, err := strconv.Atoi(string(match[1]))
		if err != nil {
			return nil, err
		}
		one.delivered += n
	}
	return one, nil
}

// comeAgain looks at what was answered by more than one consumer. Where a consumer goes on in a
// queue is a message that nobody had answered; those that come again lie behind such a one.
func comeAgain(r *faults.Rig, ended []*end, messages []faults.Message) error {
	turn := map[string]int{}
	for n, one := range ended {
		turn[one.instance] = n + 1
	}
	queues := map[int][]answeredBy{}
	again := 0
	for _, m := range messages {
		by := answeredBy{offset: m.Offset}
		for name := range answerers(r, m) {
			// Whoever has not ended came last.
			by.turns = append(by.turns, cmp.Or(turn[name], len(ended)+1))
		}
		slices.Sort(by.turns)
		queues[m.Queue] = append(queues[m.Queue], by)
		again += len(by.turns) - 1
	}
	unforced := 0
	for _, queue := range queues {
		slices.SortFunc(queue, func(a, b answeredBy) int { return cmp.Compare(a.offset, b.offset) })
		for n := range len(ended) {
			unforced += doneAlready(queue, n+2)
		}
	}
	r.Say("%d of %d messages were answered again, %d of them for nothing", again, len(messages),
		unforced)
	if unforced > 0 {
		return fmt.Errorf("%d messages came again although everything before them was done", unforced)
	}
	return nil
}

// answeredBy is a message of a queue, and who has answered it, by their turns.
type answeredBy struct {
	offset int64
	turns  []int
}

// doneAlready counts the messages from the first that a consumer has answered up to the first that
// had no answer before its turn: these came again, and no message before them was the reason.
func doneAlready(queue []answeredBy, turn int) (count int) {
	begin := slices.IndexFunc(queue, func(m answeredBy) bool {
		return slices.Contains(m.turns, turn)
	})
	for _, m := range queue[max(begin, 0):] {
		if begin < 0 || m.turns[0] >= turn {
			break
		}
		count++
	}
	return count
}

// panics is how many handlers have to panic, and panicShare how many of all do.
const (
	panics     = 12
	panicShare = "panic@1%"
)

// panicNowAndThen lets handlers panic. Each is counted, its message comes again, and everything is
// paid in the end: nothing becomes a dead letter.
func panicNowAndThen(ctx context.Context, r *faults.Rig) error {
	dead, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	if err != nil {
		return err
	}
	back, err := givenBack(ctx, r)
	if err != nil {
		return err
	}
	c, err := r.Failing(failpoint.Received, panicShare)
	if err != nil {
		return err
	}
	stop := sync.OnceValue(r.Sender.Background(ctx, underLoad()))
	defer stop()
	caught := func() int {
		n, _ := c.Metric(ctx, "payment_handler_panics_total")
		return int(n)
	}
	if err := faults.Until(ctx, fmt.Sprint(panics, " panics"), 2*trafficLimit, func() bool {
		return caught() >= panics
	}); err != nil {
		return err
	}
	stop()
	if err := allAnswered(ctx, r); err != nil {
		return err
	}
	r.Journal.FiredTimes("panic", caught(), "the consumer's count")
	if !c.Alive() {
		return fmt.Errorf("a panic has ended the consumer; its log is %s", c.Log)
	}
	after, err := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	if err != nil {
		return err
	}
	if after != dead {
		return fmt.Errorf("%d messages are dead letters for a panic now and then", after-dead)
	}
	return faults.Until(ctx, "each panic's message to have been given back", soon, func() bool {
		now, err := givenBack(ctx, r)
		return err == nil && int(now-back) >= caught()
	})
}
