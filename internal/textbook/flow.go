package textbook

import (
	"context"
	"errors"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// Order is an order of writes.
type Order string

// The orders of writes.
const (
	Right        Order = "right"
	CacheFirst   Order = "cache-first"
	CheckThenAct Order = "check-then-act"
	MessageID    Order = "message-id"
)

// Flow decides requests one by one in the order of writes that it was made for. It is safe for
// concurrent use.
type Flow struct {
	process func(context.Context, payment.Request) (decision, error)
	cache   idem.Cache[payment.Answer]
	ledger  *Ledger
}

var _ payment.Guard = (*Flow)(nil)

type (
	decision = idem.Decision[payment.Answer]
	record   = payment.Record
)

// New returns a flow, and an error for an order of writes that there is not.
func New(o Order, cache idem.Cache[payment.Answer], ledger *Ledger) (*Flow, error) {
	f := &Flow{cache: cache, ledger: ledger}
	switch o {
	case Right:
		f.process = f.right
	case CacheFirst:
		f.process = f.cacheFirst
	case CheckThenAct:
		f.process = f.checkThenAct
	case MessageID:
		f.process = f.messageID
	default:
		return nil, errors.New("textbook: no order of writes " + string(o))
	}
	return f, nil
}

// Process decides one request. An error is a Retry: the message comes again.
func (f *Flow) Process(ctx context.Context, req payment.Request) decision {
	d, err := f.process(ctx, req)
	if err != nil {
		return decision{Verdict: idem.Retry, Err: err}
	}
	return d
}

// right: the database decides, and the cache is written last. Whatever crashes in between, the
// next delivery finds out.
func (f *Flow) right(ctx context.Context, req payment.Request) (decision, error) {
	if first, hit := f.cached(ctx, req.Key); hit {
		return repeat(req, first, idem.ByCache), nil
	}
	if first, found, err := f.ledger.find(ctx, serialColumn, req.Key); err != nil || found {
		return repeat(req, first, idem.ByStore), err
	}
	paid, err := f.ledger.pay(ctx, req, "")
	if errors.Is(err, errTaken) {
		return f.lost(ctx, req, serialColumn, req.Key)
	}
	if err != nil {
		return decision{}, err
	}
	f.remember(ctx, paid)
	return decided(paid), nil
}

// cacheFirst: wrong. A crash, or a commit that fails, leaves "paid" in the cache and nothing in
// the database. The next delivery believes the cache, and the payment is never made.
func (f *Flow) cacheFirst(ctx context.Context, req payment.Request) (decision, error) {
	if first, hit := f.cached(ctx, req.Key); hit {
		return repeat(req, first, idem.ByCache), nil
	}
	if first, found, err := f.ledger.find(ctx, serialColumn, req.Key); err != nil || found {
		return repeat(req, first, idem.ByStore), err
	}
	f.remember(ctx, newRecord(req, time.Now())) // <- too early
	paid, err := f.ledger.pay(ctx, req, "")
	if err != nil {
		return decision{}, err
	}
	return decided(paid), nil
}

// checkThenAct: wrong. Between the lookup and the transaction there is time for another consumer
// to do the same, and without a unique key nothing refuses the second payment.
func (f *Flow) checkThenAct(ctx context.Context, req payment.Request) (decision, error) {
	if first, hit := f.cached(ctx, req.Key); hit {
		return repeat(req, first, idem.ByCache), nil
	}
	if first, found, err := f.ledger.find(ctx, serialColumn, req.Key); err != nil || found {
		return repeat(req, first, idem.ByStore), err
	}
	paid, err := f.ledger.pay(ctx, req, "") // <- the serial number is no key of this table
	if err != nil {
		return decision{}, err
	}
	f.remember(ctx, paid)
	return decided(paid), nil
}

// messageID: wrong, in the right order. The same request, sent again by its application, comes
// under another message ID, which nobody has seen.
func (f *Flow) messageID(ctx context.Context, req payment.Request) (decision, error) {
	token := idem.Key(messageIDOf(ctx)) // <- not what the sender calls the request
	if first, hit := f.cached(ctx, token); hit {
		return repeat(req, first, idem.ByCache), nil
	}
	if first, found, err := f.ledger.find(ctx, tokenColumn, token); err != nil || found {
		return repeat(req, first, idem.ByStore), err
	}
	paid, err := f.ledger.pay(ctx, req, string(token))
	if errors.Is(err, errTaken) {
		return f.lost(ctx, req, tokenColumn, token)
	}
	if err != nil {
		return decision{}, err
	}
	paid.Key = token
	f.remember(ctx, paid)
	return decided(paid), nil
}

// lost finds what somebody else has stored since the lookup: the unique key knows, and so does
// the row.
func (f *Flow) lost(
	ctx context.Context, req payment.Request, column string, token idem.Key,
) (decision, error) {
	first, found, err := f.ledger.find(ctx, column, token)
	if err == nil && !found {
		err = errTaken // by another serial of the same order: no tutorial thinks of that
	}
	return repeat(req, first, idem.ByUnique), err
}

func (f *Flow) cached(ctx context.Context, key idem.Key) (record, bool) {
	found, _ := f.cache.Get(ctx, []idem.Key{key}) // a cache that fails is a miss
	first, hit := found[key]
	return first, hit
}

func (f *Flow) remember(ctx context.Context, r record) {
	_ = f.cache.Put(ctx, []record{r}) // what cannot be remembered is looked up in the database
}

func newRecord(req payment.Request, at time.Time) record {
	sum, _ := req.Fingerprint(order.FingerprintVersion)
	return record{
		Key: req.Key, Fingerprint: sum, DecidedAt: at,
		Answer: payment.Answer{Outcome: order.Paid},
	}
}

func decided(r record) decision {
	return decision{Verdict: idem.Decided, Record: r, By: idem.ByCommit}
}

// repeat compares a request with what was decided before.
func repeat(req payment.Request, first record, by idem.Source) decision {
	d := decision{Verdict: idem.Duplicate, Record: first, By: by}
	if sum, _ := req.Fingerprint(first.Fingerprint.Version); sum != first.Fingerprint {
		d.Verdict = idem.Conflict
	}
	return d
}

type messageIDKey struct{}

// WithMessageID tells a flow the ID of the message that a request came in.
func WithMessageID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, messageIDKey{}, id)
}

func messageIDOf(ctx context.Context) string {
	id, _ := ctx.Value(messageIDKey{}).(string)
	return id
}
