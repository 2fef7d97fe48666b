// Package solution solves the exercises of docs/guide.md.
package solution

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"example.com/payment/docs/exercises"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// All are the answers to all exercises.
func All() exercises.Answers {
	return exercises.Answers{
		Deposit: deposit, SameMessageID: sameMessageID, Fingerprint: fingerprint,
		Process: process, WhoKnew: whoKnew, Token: token, AfterCrash: afterCrash,
		Act: act, GroupCommit: groupCommit, Metrics: metrics,
	}
}

// The work and the token change together: here because nothing comes between two lines, in a
// service because they are in one transaction.
func deposit(a *exercises.Account, token string, amount int64) {
	if a.Seen[token] {
		return
	}
	a.Seen[token] = true
	a.Balance += amount
}

// What the client and the broker repeat is the same message. What the application sends again is
// another one.
func sameMessageID() map[exercises.Way]exercises.Reply {
	return map[exercises.Way]exercises.Reply{
		exercises.SendTime:    exercises.Yes,
		exercises.ConsumeTime: exercises.Yes,
		exercises.Rebalance:   exercises.Yes,
		exercises.Application: exercises.No,
	}
}

// The lengths keep neighbours apart. When it was sent, and how it can be traced, is not asked for.
func fingerprint(t exercises.Transfer, version int) (sum idem.Fingerprint, ok bool) {
	if version != 1 {
		return idem.Fingerprint{}, false
	}
	text := fmt.Sprintf("transfer/1 %d:%s %d:%s %d",
		len(t.From), t.From, len(t.To), t.To, t.Minor)
	return idem.Fingerprint{Version: 1, Sum: sha256.Sum256([]byte(text))}, true
}

// The cache is told last, and what was stored, not what was meant to be.
func process(
	ctx context.Context, s exercises.Steps, req exercises.Request,
) (answer string, err error) {
	keys := []idem.Key{req.Key}
	cached, _ := s.Cache.Get(ctx, keys)
	if first, hit := cached[req.Key]; hit {
		return first.Answer, nil
	}
	stored, err := s.Store.Find(ctx, keys)
	if err != nil {
		return "", err
	}
	if first, found := stored[req.Key]; found {
		return first.Answer, nil
	}
	answers, err := s.Store.Commit(ctx, []exercises.Request{req})
	if errors.Is(err, idem.ErrRaced) {
		return "", fmt.Errorf("comes again, and finds it in step 2: %w", err)
	}
	if err != nil {
		return "", err
	}
	_ = s.Cache.Put(ctx, []exercises.Record{answers[0].Record})
	return answers[0].Record.Answer, nil
}

// What the cache has forgotten the database knows, and tells it again.
func whoKnew() map[exercises.Moment]idem.Source {
	return map[exercises.Moment]idem.Source{
		exercises.FirstDelivery:  idem.ByCommit,
		exercises.SecondDelivery: idem.ByCache,
		exercises.AfterExpiry:    idem.ByStore,
		exercises.AfterThat:      idem.ByCache,
		exercises.LostRace:       idem.ByUnique,
	}
}

// The message ID is the broker's, and the order ID names what may be asked for more than once.
func token(_ payment.Message, o order.Order) idem.Key {
	return idem.Key(o.Serial)
}

func afterCrash() map[exercises.Crash]exercises.Told {
	return map[exercises.Crash]exercises.Told{
		exercises.BeforeCommit: {Verdict: idem.Decided, By: idem.ByCommit},
		exercises.AnswerLost:   {Verdict: idem.Duplicate, By: idem.ByStore},
		exercises.BeforePut:    {Verdict: idem.Duplicate, By: idem.ByStore},
		exercises.BeforeAck:    {Verdict: idem.Duplicate, By: idem.ByCache},
	}
}

// What is not known to be decided comes again, and so does whatever this program does not know.
func act(v idem.Verdict) exercises.Action {
	switch v {
	case idem.Decided, idem.Duplicate:
		return exercises.Action{Answer: true, Acknowledge: true}
	case idem.Conflict:
		return exercises.Action{SetAside: true, Answer: true, Acknowledge: true}
	case idem.Retry:
	}
	return exercises.Action{}
}

// Batches of 400, 400 and 200. A repeat follows its leader in the same batch, or is answered by
// the cache in a later one: the store sees each request once.
func groupCommit() (transactions, requests int) {
	return 3, 800
}

func metrics() map[exercises.Question]string {
	return map[exercises.Question]string{
		exercises.Repeats:   "payment_decisions_total",
		exercises.Late:      "payment_message_age_seconds_bucket",
		exercises.Amortised: "payment_commit_batch_size_sum",
		exercises.CacheAway: "payment_cache_breaker_open",
		exercises.Aside:     "payment_quarantine_messages",
	}
}
