package cases

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"example.com/payment/internal/faults"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/redis"
)

// keyPrefix begins the keys of the service in Redis.
const keyPrefix = "payment:"

// forgeryLife is how long what the rig puts into the cache stays there: what stays for ever would
// be found by the audit, and rightly.
const forgeryLife = time.Hour

// ordersPerForgery is how many unpaid orders each kind of forgery is tried on.
const ordersPerForgery = 5

// forgeries puts values for orders that nobody has paid into the cache, each of which says that
// they are paid. None is believed: the transaction pays them, and then the cache tells the truth.
func forgeries(ctx context.Context, r *faults.Rig) error {
	f, err := newForger(ctx, r)
	if err != nil {
		return err
	}
	c, err := r.Start(ctx, patientCacheEnv)
	if err != nil {
		return err
	}
	f.paid = newOrders(r, 1)
	if err := warm(ctx, r, f.paid); err != nil {
		return err
	}
	for what, forge := range f.kinds() {
		orders := newOrders(r, ordersPerForgery)
		for _, o := range orders {
			if err := forge(ctx, o); err != nil {
				return fmt.Errorf("forge %s: %w", what, err)
			}
		}
		if err := f.unbelieved(ctx, c, orders); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.Journal.FiredTimes("forged value", len(orders), what)
	}
	return nil
}

// forger writes values into the cache.
type forger struct {
	*faults.Rig
	// paid is an order that the cache really knows.
	paid []order.Order
	// before and now are the ledger's epochs: after a restore there is another one.
	before, now string
	password    string
	keys        string // that the service signs with
}

// newForger gives the ledger another epoch, which nothing of what runs has seen: no consumer runs.
func newForger(ctx context.Context, r *faults.Rig) (*forger, error) {
	env := r.Stack.Variables()
	f := &forger{
		Rig: r, password: env["PAYMENT_REDIS_PASSWORD"], keys: env["PAYMENT_CACHE_KEYS"],
	}
	const epoch = "SELECT epoch FROM ledger_epoch"
	if err := r.SQL.QueryRowContext(ctx, epoch).Scan(&f.before); err != nil {
		return nil, err
	}
	if said, err := r.Operate(ctx, "epoch", "replace"); err != nil {
		return nil, fmt.Errorf("epoch replace: %w: %s", err, said)
	}
	return f, r.SQL.QueryRowContext(ctx, epoch).Scan(&f.now)
}

// kinds are the ways to forge a value, each by what is wrong with it.
func (f *forger) kinds() map[string]func(context.Context, order.Order) error {
	another := "k1:" + strings.Repeat("ab", 32)
	unknown := "k2:" + strings.TrimPrefix(f.keys, "k1:")
	return map[string]func(context.Context, order.Order) error{
		"a word": func(ctx context.Context, o order.Order) error {
			return f.put(ctx, o, "paid")
		},
		"an answer without a signature": func(ctx context.Context, o order.Order) error {
			return f.put(ctx, o, `{"outcome":"paid","order_id":"`+string(o.ID)+`"}`)
		},
		"an answer signed with another key": func(ctx context.Context, o order.Order) error {
			return f.sign(ctx, o, another, f.now, order.Paid)
		},
		"an answer signed under a name that is not known": func(
			ctx context.Context, o order.Order,
		) error {
			return f.sign(ctx, o, unknown, f.now, order.Paid)
		},
		"a refusal signed with another key": func(ctx context.Context, o order.Order) error {
			return f.sign(ctx, o, another, f.now, order.Declined)
		},
		"the real answer to another order": func(ctx context.Context, o order.Order) error {
			theirs, err := f.Redis.Get(ctx, keyPrefix+string(f.paid[0].Serial)).Result()
			if err != nil {
				return err
			}
			return f.put(ctx, o, theirs)
		},
		"a real answer of an older epoch": func(ctx context.Context, o order.Order) error {
			return f.sign(ctx, o, f.keys, f.before, order.Paid)
		},
	}
}

func (f *forger) put(ctx context.Context, o order.Order, value string) error {
	return f.Redis.Set(ctx, keyPrefix+string(o.Serial), value, forgeryLife).Err()
}

// sign writes the value that a service with these keys would write in an epoch.
func (f *forger) sign(
	ctx context.Context, o order.Order, keys, epoch string, outcome order.Outcome,
) error {
	ring, err := redis.ParseKeyring(keys)
	if err != nil {
		return err
	}
	cache, err := redis.New[payment.Answer](redis.Config{
		Address: f.Redis.Options().Addr, Password: f.password, KeyPrefix: keyPrefix, Keys: ring,
		Expiry: forgeryLife, Timeout: soon,
	}, func() (string, bool) { return epoch, true }, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = cache.Close() }()
	request := payment.NewRequest(o)
	fingerprint, _ := request.Fingerprint(order.FingerprintVersion)
	return cache.Put(ctx, []idem.Record[payment.Answer]{{
		Key: request.Key, Fingerprint: fingerprint, DecidedAt: time.Now(),
		Answer: payment.Answer{Outcome: outcome},
	}})
}

// unbelieved sends orders of which the cache holds a forgery: each is paid by the transaction, as
// if there were nothing, and afterwards the cache has the true answer.
func (f *forger) unbelieved(
	ctx context.Context, c *faults.Consumer, orders []order.Order,
) error {
	stale := func() (float64, error) {
		return metric(ctx, c, "payment_cache_lookups_total", `result="stale"`)
	}
	before, err := stale()
	if err != nil {
		return err
	}
	for _, m := range sendTogether(ctx, f.Rig, orders...) {
		got, err := firstAnswer(ctx, f.Rig, m)
		if err != nil {
			return err
		}
		if got.Outcome != order.Paid || got.DecidedBy != "transaction" {
			return fmt.Errorf("an unpaid order was %s, says the %s", got.Outcome, got.DecidedBy)
		}
	}
	after, err := stale()
	if err == nil && int(after-before) < len(orders) {
		err = fmt.Errorf("of %d forgeries %.0f were seen", len(orders), after-before)
	}
	if err != nil {
		return err
	}
	return warm(ctx, f.Rig, orders)
}
