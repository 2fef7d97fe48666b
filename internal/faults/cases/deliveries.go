package cases

import (
	"context"
	"errors"
	"fmt"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
	"example.com/payment/internal/order"
	"example.com/payment/internal/rocketmq"
)

// awaitAnswers waits until the sender of each acknowledged message has been told what became
// of it.
func awaitAnswers(
	ctx context.Context, r *faults.Rig, what string, messages ...faults.Message,
) error {
	return everybodyAnswered(faults.Until(ctx, "answers to "+what, trafficLimit, func() bool {
		answered := r.Answers.Answered()
		for _, m := range messages {
			if m.Status == faults.Acknowledged && answered[m.ID] == 0 {
				return false
			}
		}
		return true
	}))
}

// allAnswered waits until everybody is answered whose message the broker took and still has.
func allAnswered(ctx context.Context, r *faults.Rig) error {
	return everybodyAnswered(faults.Until(ctx, "answers", soon, func() bool {
		answered := r.Answers.Answered()
		for _, m := range r.Record.All() {
			if m.Status == faults.Acknowledged && m.Valid() && answered[m.ID] == 0 {
				return false
			}
		}
		return true
	}))
}

// everybodyAnswered is A1, of which an error says that it does not hold.
func everybodyAnswered(err error) error { return faults.NewDemand("A1", err) }

// firstAnswer waits for what a message's sender is told first.
func firstAnswer(
	ctx context.Context, r *faults.Rig, m faults.Message,
) (order.Result, error) {
	got, err := await(ctx, "an answer to "+m.Key, func() (order.Result, bool, error) {
		answers := r.Answers.Answers(m.ID)
		if len(answers) == 0 {
			return order.Result{}, false, nil
		}
		return answers[0], true, nil
	})
	return got, everybodyAnswered(err)
}

// firstDeliveries wants each message to be answered by its first delivery.
func firstDeliveries(ctx context.Context, r *faults.Rig, messages []faults.Message) error {
	for _, m := range messages {
		if m.Status != faults.Acknowledged || !m.Valid() {
			continue
		}
		got, err := firstAnswer(ctx, r, m)
		if err != nil {
			return err
		}
		if got.Attempt != 1 {
			return fmt.Errorf("%s was answered at attempt %d, want 1", m.Key, got.Attempt)
		}
	}
	return nil
}

// nothingGivenBack does something and wants no message to have been sent up the retry ladder by
// it. What is to be counted must be answered when it returns.
func nothingGivenBack(ctx context.Context, r *faults.Rig, do func() error) error {
	before, err := givenBack(ctx, r)
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	after, err := givenBack(ctx, r)
	if err == nil && after != before {
		err = fmt.Errorf("%d messages were given back, and nothing was wrong with them", after-before)
	}
	return err
}

// givenBack is how many messages the broker was ever asked to deliver later, or has given up.
func givenBack(ctx context.Context, r *faults.Rig) (int64, error) {
	later, err := stored(ctx, r, rocketmq.RetryTopic(devstack.ConsumerGroup))
	dead, deadErr := stored(ctx, r, rocketmq.DeadLetterTopic(devstack.ConsumerGroup))
	return later + dead, errors.Join(err, deadErr)
}

// stored is how many messages a topic has ever taken.
func stored(ctx context.Context, r *faults.Rig, topic string) (int64, error) {
	queues, err := r.Admin.Offsets(ctx, devstack.ConsumerGroup, topic)
	var sum int64
	for _, q := range queues {
		sum += q.Max
	}
	return sum, err
}
