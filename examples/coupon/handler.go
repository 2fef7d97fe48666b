package coupon

import (
	"context"
	"errors"

	"example.com/payment/internal/idem"
)

// Reply is what becomes of one delivery, for whoever has sent it.
type Reply struct {
	RequestID string `json:"request_id"`
	Answer
	// Duplicate is the duplicate marker: the answer is the first one, given again.
	Duplicate bool `json:"duplicate,omitempty"`
	// Conflict: the request ID was used before for something else, whose answer this is.
	Conflict bool `json:"conflict,omitempty"`
}

// Guard decides a request once; idem.Guard is one.
type Guard interface {
	Process(ctx context.Context, req Request) idem.Decision[Answer]
}

// Handler takes one delivery from its bytes to its acknowledgement.
type Handler struct {
	Guard Guard
	// Hold makes deliveries wait while the database is away.
	Hold *idem.Hold
	// Send returns when the reply is stored by the broker. It may be sent twice.
	Send func(context.Context, Reply) error
	// SetAside returns when a message that gets no coupon is stored for a person to look at.
	SetAside func(ctx context.Context, body []byte, why error) error
}

var errReused = errors.New("coupon: a request ID that was used for something else")

// Handle says whether to acknowledge the message. It must be asked again after anything else, and
// after a crash: the broker's copy is the only reminder of what is still to be done.
func (h Handler) Handle(ctx context.Context, body []byte) (acknowledge bool) {
	claim, err := Decode(body)
	if err != nil {
		return h.SetAside(ctx, body, err) == nil
	}
	var d idem.Decision[Answer]
	err = h.Hold.Do(ctx, func(ctx context.Context) error {
		d = h.Guard.Process(ctx, NewRequest(claim))
		return d.Err
	})
	if err != nil {
		return false
	}
	reply := Reply{RequestID: claim.RequestID, Answer: d.Record.Answer}
	switch d.Verdict {
	case idem.Decided:
	case idem.Duplicate:
		reply.Duplicate = true
	case idem.Conflict:
		// Before the reply: one that was answered and then lost could not be looked into.
		if reply.Conflict = true; h.SetAside(ctx, body, errReused) != nil {
			return false
		}
	case idem.Retry:
		return false
	default: // the zero value of a verdict, or one that is yet to be invented
		return false
	}
	return h.Send(ctx, reply) == nil
}
