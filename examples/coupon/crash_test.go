package coupon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
	"example.com/payment/internal/idem/idemtest/sim"
)

// The calls of a handler beyond those of its guard.
const (
	reply    idemtest.Step = "reply"
	setAside idemtest.Step = "set aside"
)

// stock is how many coupons the campaign of a run has.
const stock = 2

// run is a few messages, some of them alike and one unreadable, in handlers that crash and fail.
type run struct {
	world   sim.World[Claim, Answer]
	claims  map[idem.Fingerprint]Claim // to know again what a record was for
	bodies  [][]byte
	replies map[int]Reply // by delivery
	aside   map[string]bool
	opts    idem.Options
	sim     *sim.Sim
}

func newRun(seed uint64) *run {
	const day = 24 * time.Hour
	rng := rand.New(rand.NewPCG(seed, 3))
	r := &run{
		claims: map[idem.Fingerprint]Claim{}, replies: map[int]Reply{}, aside: map[string]bool{},
		opts: idem.Options{BatchMax: 1 + rng.IntN(4), Committers: 1 + rng.IntN(2), Timeout: day},
	}
	r.world = sim.World[Claim, Answer]{
		Cache: idemtest.NewCache[Answer](), Store: idemtest.NewStore(r.decide),
		Locks: func(c Claim) []string { return []string{c.Campaign} },
	}
	for range 2 + rng.IntN(6) {
		c := claim(fmt.Sprint("R", rng.IntN(4)), fmt.Sprint("u", rng.IntN(4))).Payload
		sum, _ := c.Fingerprint(fingerprintVersion)
		r.claims[sum] = c
		body := fmt.Sprintf(`{"request_id":%q,"campaign":%q,"user":%q}`, c.RequestID, c.Campaign, c.User)
		if rng.IntN(12) == 0 {
			body = `{"request_id":`
		}
		r.bodies = append(r.bodies, []byte(body))
	}
	r.sim = sim.New(sim.Config{
		Seed: seed, Messages: len(r.bodies), Nodes: 1 + rng.IntN(2), Start: r.start,
		Flush: r.world.Cache.Flush, Finish: r.finish, Observe: r.look,
	})
	return r
}

// decide carries out a request with a Desk on what the transaction's records tell.
func (r *run) decide(tx *idemtest.Tx[Answer], req Request) (idem.Answer[Answer], error) {
	campaign := Campaign{Campaign: "SPRING", Total: stock}
	var held []Coupon
	for record := range tx.Records() {
		if record.Answer.Coupon != "" && record.Answer.First == "" {
			campaign.Issued++
			c := Coupon{RequestID: string(record.Key),
				Holder: Holder{"SPRING", r.claims[record.Fingerprint].User}}
			if _, err := fmt.Sscanf(record.Answer.Coupon, "SPRING-%d", &c.Number); err != nil {
				return idem.Answer[Answer]{}, err
			}
			held = append(held, c)
		}
	}
	return NewDesk(time.Now(), []Campaign{campaign}, held).Decide(req), nil
}

// start starts a process: the handler as a program would wire it, over gates.
func (r *run) start(n *sim.Node) (handle sim.Handler, stop func()) {
	inner := idem.New(sim.Store[Claim, Answer]{Node: n, World: &r.world},
		sim.Cache[Claim, Answer]{Node: n, World: &r.world}, r.opts)
	h := Handler{
		Guard: sim.Guard[Claim, Answer]{Node: n, World: &r.world, Inner: inner},
		Hold:  idem.NewHold(idem.HoldOptions{MinBackoff: 1, MaxBackoff: 1}),
		Send: func(ctx context.Context, sent Reply) error {
			return n.Call(ctx, reply, sent.RequestID, func() error {
				r.replies[sim.DeliveryOf(ctx).ID] = sent
				return nil
			})
		},
		SetAside: func(ctx context.Context, body []byte, _ error) error {
			return n.Call(ctx, setAside, "", func() error {
				r.aside[string(body)] = true
				return nil
			})
		},
	}
	return func(ctx context.Context, message int) bool {
		return h.Handle(ctx, r.bodies[message])
	}, inner.Close
}

// look wants whatever is acknowledged to have been answered, or set aside, before, and nothing to
// be given back because the database is away: that is waited out in place.
func (r *run) look(c *sim.Call, _ sim.Fate) {
	d := c.Delivery
	if c.Step == sim.GiveBack && d.Verdict == idem.Retry && !d.Cancelled &&
		errors.Is(d.Err, idem.ErrUnavailable) {
		r.sim.Fail(fmt.Errorf("delivery %d is given back in an outage", d.ID))
	}
	if c.Step != sim.Ack {
		return
	}
	said, answered := r.replies[d.ID]
	aside := r.aside[string(r.bodies[d.Message])]
	switch {
	case !answered && (d.Verdict != 0 || !aside):
		r.sim.Fail(fmt.Errorf("delivery %d is acknowledged without an answer", d.ID))
	case answered && said.Conflict != (d.Verdict == idem.Conflict),
		answered && said.Duplicate != (d.Verdict == idem.Duplicate), said.Conflict && !aside:
		r.sim.Fail(fmt.Errorf("delivery %d: verdict %d, reply %+v", d.ID, d.Verdict, said))
	}
}

// finish wants no coupon too many, and none twice, and all that was asked for decided.
func (r *run) finish() error {
	holders, coupons := map[string]bool{}, map[string]bool{}
	records := r.world.Store.Records()
	for key, record := range records {
		user := r.claims[record.Fingerprint].User
		if first := record.Answer.First; first != "" &&
			records[idem.Key(first)].Answer.Coupon != record.Answer.Coupon {
			return fmt.Errorf("%s repeats %s, and is told of %s", key, first, record.Answer.Coupon)
		}
		if record.Answer.Coupon == "" || record.Answer.First != "" {
			continue
		}
		if holders[user] || coupons[record.Answer.Coupon] {
			return fmt.Errorf("%s: %s has two, or two have %s", key, user, record.Answer.Coupon)
		}
		holders[user], coupons[record.Answer.Coupon] = true, true
	}
	if len(coupons) > stock {
		return fmt.Errorf("%d coupons were issued of %d", len(coupons), stock)
	}
	for _, body := range r.bodies {
		c, err := Decode(body)
		if _, decided := records[idem.Key(c.RequestID)]; err == nil && !decided {
			return errors.New(c.RequestID + " is lost")
		}
	}
	return r.world.Missed()
}

// TestHandler_Crashes lets whole consumers crash and fail at every call, in thousands of
// interleavings that a seed decides: SIM_SEED=n repeats one.
func TestHandler_Crashes(t *testing.T) {
	t.Parallel()
	first, last := sim.Seeds(t, 2000)
	synctest.Test(t, func(t *testing.T) {
		for seed := first; seed < last; seed++ {
			if err := newRun(seed).sim.Run(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
