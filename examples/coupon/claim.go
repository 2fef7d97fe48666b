// Package coupon is a second service on package idem, small enough to read at one sitting: it
// issues coupons. A user gets the coupon of a campaign once, and a campaign has so many and no
// more. docs/make-it-yours.md walks through it.
//
// It brings what every service has to bring: the request and its fingerprint (Claim), the decision
// (Desk), a store that commits work and token together (Store, schema.sql), and what becomes of
// a delivery (Handler). The guard, group commit, the hold and the cache in Redis are the project's
// own, as they are. It imports nothing of payments.
package coupon

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"example.com/payment/internal/idem"
)

// Claim is a request: a user asks for the coupon of a campaign.
type Claim struct {
	// RequestID is the idempotency token. Whoever asks mints it before the first send, and
	// repeats it unchanged.
	RequestID string `json:"request_id"`
	Campaign  string `json:"campaign"`
	User      string `json:"user"`
}

// Answer is what was decided about one request, and what each duplicate is told again.
type Answer struct {
	Coupon  string `json:"coupon,omitempty"`  // such as SPRING-17; empty if refused
	Refused Reason `json:"refused,omitempty"` // empty if there is a coupon
	// First is the request that the user's coupon was issued for, if it was not this one.
	First string `json:"first,omitempty"`
}

// Reason says why there is no coupon. A refusal is a decision, and stays.
type Reason string

// The reasons.
const (
	SoldOut         Reason = "sold_out"
	UnknownCampaign Reason = "unknown_campaign"
)

// Request is a claim on its way through the guard.
type Request = idem.Request[Claim]

// Record is what is kept of a decided claim.
type Record = idem.Record[Answer]

// NewRequest makes the request ID the idempotency token of a claim.
func NewRequest(c Claim) Request {
	return Request{Key: idem.Key(c.RequestID), Fingerprint: c.Fingerprint, Payload: c}
}

// fingerprintVersion is the version of new fingerprints. Old ones go on being compared under
// their own: a new version is one more case in Fingerprint.
const fingerprintVersion = 1

// Fingerprint digests what a claim asks for, so that the same request ID with other content is
// seen. Each field has its length before it: user "ab" of campaign "c" is not user "a" of "bc".
func (c Claim) Fingerprint(version int) (idem.Fingerprint, bool) {
	text := fmt.Sprintf("coupon/claim/v1 %d:%s %d:%s",
		len(c.Campaign), c.Campaign, len(c.User), c.User)
	return idem.Fingerprint{Version: version, Sum: sha256.Sum256([]byte(text))},
		version == fingerprintVersion
}

// A name fits its column byte for byte, whatever the alphabet of whoever sends it.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$`)

// Decode reads a claim, and refuses what the rest of the program could not trust. Its errors
// quote nothing of the content. Package order has a codec that is stricter still.
func Decode(body []byte) (c Claim, err error) {
	const most = 4 << 10 // bytes
	if len(body) > most || json.Unmarshal(body, &c) != nil {
		return c, errors.New("coupon: a claim that is too long, or not the JSON of one")
	}
	for _, value := range []string{c.RequestID, c.Campaign, c.User} {
		if !name.MatchString(value) {
			return c, errors.New("coupon: a claim whose request, campaign or user is not a name")
		}
	}
	return c, nil
}
