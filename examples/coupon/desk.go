package coupon

import (
	"fmt"
	"time"

	"example.com/payment/internal/idem"
)

// Campaign is a campaign as a transaction has locked it.
type Campaign struct {
	Campaign      string
	Total, Issued int
}

// Holder is a user who can hold one coupon of a campaign.
type Holder struct{ Campaign, UserID string }

// Coupon is one that was issued, for a request.
type Coupon struct {
	Holder
	Number    int
	RequestID string
}

// Desk takes the decisions of one transaction, from what that has locked and read. It does no
// input or output, so that a test of the rules needs no database.
type Desk struct {
	now       time.Time
	campaigns map[string]*Campaign
	held      map[Holder]Coupon
	issued    []Coupon
}

// NewDesk opens a desk at the time now. The campaigns are locked until what it has issued is
// written; held are the coupons that users among the requests have already.
func NewDesk(now time.Time, campaigns []Campaign, held []Coupon) *Desk {
	d := &Desk{now: now, campaigns: map[string]*Campaign{}, held: map[Holder]Coupon{}}
	for i := range campaigns {
		d.campaigns[campaigns[i].Campaign] = &campaigns[i]
	}
	for _, c := range held {
		d.held[c.Holder] = c
	}
	return d
}

// Decide takes the decision about one request. Every answer leaves a record under the request's
// own key, also a refusal: a claim that came too late stays refused when the campaign grows.
func (d *Desk) Decide(req Request) idem.Answer[Answer] {
	holder := Holder{req.Payload.Campaign, req.Payload.User}
	campaign := d.campaigns[holder.Campaign]
	first, has := d.held[holder]
	switch {
	case has: // asked for again, under a new request ID
		return d.answer(req, idem.Duplicate, Answer{Coupon: first.name(), First: first.RequestID})
	case campaign == nil:
		return d.answer(req, idem.Decided, Answer{Refused: UnknownCampaign})
	case campaign.Issued >= campaign.Total:
		return d.answer(req, idem.Decided, Answer{Refused: SoldOut})
	}
	campaign.Issued++
	coupon := Coupon{Holder: holder, Number: campaign.Issued, RequestID: req.Payload.RequestID}
	d.held[holder] = coupon
	d.issued = append(d.issued, coupon)
	return d.answer(req, idem.Decided, Answer{Coupon: coupon.name()})
}

func (d *Desk) answer(req Request, v idem.Verdict, a Answer) idem.Answer[Answer] {
	sum, _ := req.Fingerprint(fingerprintVersion)
	return idem.Answer[Answer]{Verdict: v, Record: Record{
		Key: req.Key, Fingerprint: sum, Answer: a, DecidedAt: d.now,
	}}
}

func (c Coupon) name() string { return fmt.Sprintf("%s-%d", c.Campaign, c.Number) }
