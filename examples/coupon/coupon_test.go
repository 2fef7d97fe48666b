package coupon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/payment/internal/idem"
)

// claim asks for the coupon of the campaign SPRING.
func claim(request, user string) Request {
	return NewRequest(Claim{RequestID: request, Campaign: "SPRING", User: user})
}

func TestDecode(t *testing.T) {
	t.Parallel()
	c, err := Decode([]byte(`{"request_id":"R1","campaign":"SPRING","user":"ada","later":1}`))
	if want := claim("R1", "ada").Payload; err != nil || c != want {
		t.Errorf("decoded %+v, %v, want %+v", c, err, want)
	}
	for _, body := range []string{
		``, `null`, `{}`, `{"request_id":"R1","campaign":"SPRING","user":7}`,
		`{"request_id":"R1","campaign":"SPRING","user":""}`,
		`{"request_id":"R1","campaign":"SPRING","user":"ada "}`,
		`{"request_id":"R1","campaign":"SPRING","user":"` + strings.Repeat("x", 65) + `"}`,
		`{"request_id":"R1","campaign":"SPRING","user":"ada"}` + strings.Repeat(" ", 4<<10),
	} {
		if c, err := Decode([]byte(body)); err == nil {
			t.Errorf("%.70q is read as %+v", body, c)
		} else if strings.Contains(err.Error(), "ada") {
			t.Errorf("the error quotes the message: %v", err)
		}
	}
}

func TestClaim_Fingerprint(t *testing.T) {
	t.Parallel()
	sum, ok := Claim{RequestID: "R1", Campaign: "c", User: "ab"}.Fingerprint(1)
	again, _ := Claim{RequestID: "R2", Campaign: "c", User: "ab"}.Fingerprint(1)
	if !ok || sum != again || sum.Version != 1 {
		t.Errorf("%+v (%t) and %+v differ, for the same coupon", sum, ok, again)
	}
	for _, other := range []Claim{
		{Campaign: "bc", User: "a"}, {Campaign: "c", User: "a"}, {Campaign: "ab", User: "c"},
	} {
		if other, _ := other.Fingerprint(1); other == sum {
			t.Errorf("%+v has the same fingerprint", other)
		}
	}
	if _, ok := (Claim{}).Fingerprint(2); ok {
		t.Error("version 2 is known")
	}
}

// Whatever a batch asks for: no campaign gives more than it has, nobody gets two of one campaign,
// no coupon is given twice, and who asks again is told the first.
func TestDesk_Invariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := map[string]int{"A": rapid.IntRange(0, 4).Draw(t, "A"), "B": 3}
		desk := NewDesk(time.Now(), []Campaign{
			{Campaign: "A", Total: total["A"]}, {Campaign: "B", Total: 3, Issued: 3},
		}, []Coupon{{Holder: Holder{"B", "u0"}, Number: 2, RequestID: "before"}})
		first := map[Holder]string{{"B", "u0"}: "before"}
		for i := range rapid.IntRange(1, 30).Draw(t, "requests") {
			c := Claim{
				RequestID: fmt.Sprint("R", i),
				Campaign:  rapid.SampledFrom([]string{"A", "A", "B", "none"}).Draw(t, "campaign"),
				User:      fmt.Sprint("u", rapid.IntRange(0, 6).Draw(t, "user")),
			}
			holder := Holder{c.Campaign, c.User}
			answer := desk.Decide(NewRequest(c))
			got := answer.Record.Answer
			if repeats := first[holder] != ""; repeats != (answer.Verdict == idem.Duplicate) ||
				got.First != first[holder] {
				t.Fatalf("%+v: %+v, but the first was %q", c, answer, first[holder])
			}
			if (got.Coupon == "") == (got.Refused == "") || answer.Record.Key != idem.Key(c.RequestID) {
				t.Fatalf("%+v: %+v is no answer to it", c, answer)
			}
			if answer.Verdict == idem.Decided && got.Coupon != "" {
				first[holder] = c.RequestID
			}
		}
		numbers := make(map[string]bool)
		for _, c := range desk.issued {
			if c.Campaign != "A" || c.Number < 1 || c.Number > total["A"] || numbers[c.name()] {
				t.Fatalf("%+v was issued", c)
			}
			numbers[c.name()] = true
		}
	})
}
