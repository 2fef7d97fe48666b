package coupon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"example.com/payment/examples/coupon"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/idem/idemtest"
)

// One coupon, two users, and whatever can come again. The store is in memory here; with the real
// one the rest is the same.
func Example() {
	desk := coupon.NewDesk(time.Now(), []coupon.Campaign{{Campaign: "SPRING", Total: 1}}, nil)
	store := idemtest.NewStore(func(
		_ *idemtest.Tx[coupon.Answer], req coupon.Request,
	) (idem.Answer[coupon.Answer], error) {
		return desk.Decide(req), nil
	})
	guard := idem.New(store, idemtest.NewCache[coupon.Answer](), idem.Options{})
	defer guard.Close()
	handler := coupon.Handler{
		Guard: guard,
		Hold:  idem.NewHold(idem.HoldOptions{}),
		Send: func(_ context.Context, r coupon.Reply) error {
			text, err := json.Marshal(r)
			fmt.Println(string(text))
			return err
		},
		SetAside: func(_ context.Context, _ []byte, why error) error {
			fmt.Println("set aside:", why)
			return nil
		},
	}
	for _, body := range []string{
		`{"request_id":"R1","campaign":"SPRING","user":"ada"}`,
		`{"request_id":"R1","campaign":"SPRING","user":"ada"}`,   // its acknowledgement was lost
		`{"request_id":"R2","campaign":"SPRING","user":"ada"}`,   // the button was pressed again
		`{"request_id":"R3","campaign":"SPRING","user":"grace"}`, // came too late
		`{"request_id":"R1","campaign":"SPRING","user":"grace"}`, // uses somebody else's request ID
		`{"request_id":"R4"`,
	} {
		if !handler.Handle(context.Background(), []byte(body)) {
			fmt.Println("not acknowledged, comes again")
		}
	}

	// Output:
	// {"request_id":"R1","coupon":"SPRING-1"}
	// {"request_id":"R1","coupon":"SPRING-1","duplicate":true}
	// {"request_id":"R2","coupon":"SPRING-1","first":"R1","duplicate":true}
	// {"request_id":"R3","refused":"sold_out"}
	// set aside: coupon: a request ID that was used for something else
	// {"request_id":"R1","coupon":"SPRING-1","conflict":true}
	// set aside: coupon: a claim that is too long, or not the JSON of one
}
