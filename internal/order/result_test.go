package order_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/order"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sampleResult() order.Result {
	return order.Result{
		OrderID: "ORDERID_100", Serial: "PAY_101",
		Outcome: order.Duplicate, Reason: order.OrderAlreadyPaid, Duplicate: true,
		First: &order.First{
			Outcome: order.Paid, Serial: "PAY_100",
			DecidedAt: time.Date(2026, 1, 2, 3, 4, 5, 600_000, time.UTC),
		},
		DecidedAt: time.Date(2026, 1, 2, 3, 5, 6, 0, time.UTC), DecidedBy: "cache",
		MessageID: "7F0000010001ABCD", Attempt: 2, Instance: "consumer-1",
		Steps: order.Steps{Wait: 12 * time.Microsecond, Cache: 3 * time.Millisecond},
	}
}

const goldenResult = `{"version":1,"order_id":"ORDERID_100","serial_no":"PAY_101",` +
	`"outcome":"duplicate","reason":"order_already_paid","duplicate":true,` +
	`"first":{"outcome":"paid","serial_no":"PAY_100","decided_at":"2026-01-02T03:04:05.0006Z"},` +
	`"decided_at":"2026-01-02T03:05:06Z","decided_by":"cache",` +
	`"message_id":"7F0000010001ABCD","attempt":2,"instance":"consumer-1",` +
	`"steps_us":{"wait":12,"cache":3000,"find":0,"commit":0,"put":0}}`

func TestEncodeResult_Golden(t *testing.T) {
	t.Parallel()
	got, err := order.EncodeResult(sampleResult())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenResult, string(got)); diff != "" {
		t.Errorf("EncodeResult (-want +got):\n%s", diff)
	}
	smallest, err := order.EncodeResult(order.Result{OrderID: "o", Serial: "s", Outcome: order.Paid})
	const want = `{"version":1,"order_id":"o","serial_no":"s","outcome":"paid","duplicate":false,` +
		`"steps_us":{"wait":0,"cache":0,"find":0,"commit":0,"put":0}}`
	if err != nil || string(smallest) != want {
		t.Errorf("EncodeResult of the smallest = %s, %v; want %s", smallest, err, want)
	}
}

func TestEncodeResult_WritesUTC(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 8*60*60)
	r := sampleResult()
	r.DecidedAt, r.First.DecidedAt = r.DecidedAt.In(zone), r.First.DecidedAt.In(zone)
	got, err := order.EncodeResult(r)
	if err != nil || string(got) != goldenResult {
		t.Errorf("EncodeResult = %s, %v; want %s", got, err, goldenResult)
	}
	if r.First.DecidedAt.Location() != zone {
		t.Error("EncodeResult changed the result")
	}
}

func TestEncodeResult_Refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*order.Result)
		want   string
	}{
		"NoOutcome":      {func(r *order.Result) { r.Outcome = 0 }, "bad_outcome outcome"},
		"Retry":          {func(r *order.Result) { r.Outcome = order.Retry }, "bad_outcome outcome"},
		"Rejected":       {func(r *order.Result) { r.Outcome = order.Rejected }, "bad_outcome outcome"},
		"BeyondTheLast":  {func(r *order.Result) { r.Outcome = 7 }, "bad_outcome outcome"},
		"NoFirstOutcome": {func(r *order.Result) { r.First.Outcome = 0 }, "bad_outcome first.outcome"},
		"NoOrderID":      {func(r *order.Result) { r.OrderID = "" }, "bad_id order_id"},
		"NoSerial":       {func(r *order.Result) { r.Serial = "" }, "bad_id serial_no"},
		"NoFirstSerial":  {func(r *order.Result) { r.First.Serial = "" }, "bad_id first.serial_no"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := sampleResult()
			test.change(&r)
			got, err := order.EncodeResult(r)
			if got != nil {
				t.Errorf("EncodeResult = %s with an error", got)
			}
			code, field, _ := strings.Cut(test.want, " ")
			wantCode(t, err, order.Code(code), field)
		})
	}
}

func TestDecodeResult_Accepts(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"Golden":        goldenResult,
		"UnknownField":  strings.Replace(goldenResult, "{", `{"colour":{"a":null},`, 1),
		"UnknownNested": strings.Replace(goldenResult, `"wait"`, `"decode":5,"wait"`, 1),
		"White":         " " + strings.ReplaceAll(goldenResult, ",", " ,\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := order.DecodeResult([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sampleResult(), got); diff != "" {
				t.Errorf("DecodeResult (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeResult_Refuses(t *testing.T) {
	t.Parallel()
	const paid = `"outcome":"paid"`
	with := func(part, replacement string) string {
		return strings.Replace(goldenResult, part, replacement, 1)
	}
	for name, test := range map[string]struct {
		body  string
		code  order.Code
		field string
	}{
		"Empty":           {"", order.CodeBadJSON, ""},
		"NotJSON":         {"zq7secret", order.CodeBadJSON, ""},
		"Trailing":        {goldenResult + "zq7secret", order.CodeBadJSON, ""},
		"Array":           {"[]", order.CodeType, ""},
		"TooLarge":        {goldenResult + strings.Repeat(" ", 64<<10), order.CodeTooLarge, ""},
		"EmptyObject":     {"{}", order.CodeVersion, "version"},
		"Null":            {"null", order.CodeVersion, "version"},
		"NewerVersion":    {with(`"version":1`, `"version":2`), order.CodeVersion, "version"},
		"UnknownOutcome":  {with(`"duplicate"`, `"zq7secret"`), order.CodeOutcome, "outcome"},
		"CapitalOutcome":  {with(`"duplicate"`, `"Duplicate"`), order.CodeOutcome, "outcome"},
		"NotAnAnswer":     {with(`"duplicate"`, `"retry"`), order.CodeOutcome, "outcome"},
		"NumberOutcome":   {with(`"duplicate"`, `3`), order.CodeType, "outcome"},
		"MissingOutcome":  {with(`"outcome":"duplicate",`, ``), order.CodeOutcome, "outcome"},
		"BadFirstOutcome": {with(paid, `"outcome":"rejected"`), order.CodeOutcome, "first.outcome"},
		"NoFirstOutcome":  {with(paid+",", ``), order.CodeOutcome, "first.outcome"},
		"BadTime":         {with("2026-01-02T03:05:06Z", "zq7secret"), order.CodeTime, "decided_at"},
		"BadOrderID":      {with("ORDERID_100", `\u001b[31mzq7secret`), order.CodeID, "order_id"},
		"BadSerial":       {with("PAY_101", "zq7secret "), order.CodeID, "serial_no"},
		"BadFirstSerial":  {with("PAY_100", "zq7secret "), order.CodeID, "first.serial_no"},
		"FloatAttempt":    {with(`"attempt":2`, `"attempt":2.5`), order.CodeType, "attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := order.DecodeResult([]byte(test.body))
			if diff := cmp.Diff(order.Result{}, got); diff != "" {
				t.Errorf("DecodeResult gave something with its error (-want +got):\n%s", diff)
			}
			wantCode(t, err, test.code, test.field)
			if strings.Contains(err.Error(), "zq7") {
				t.Errorf("the error repeats what was read: %v", err)
			}
		})
	}
}

func TestResult_RoundTrip(t *testing.T) {
	t.Parallel()
	answer := rapid.SampledFrom([]order.Outcome{
		order.Paid, order.Declined, order.Duplicate, order.Conflict,
	})
	id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}`)
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, "time")).UTC()
	})
	micros := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Uint32().Draw(t, "us")) * time.Microsecond
	})
	rapid.Check(t, func(t *rapid.T) {
		want := order.Result{
			OrderID: order.ID(id.Draw(t, "order")), Serial: order.Serial(id.Draw(t, "serial")),
			Outcome: answer.Draw(t, "outcome"), Duplicate: rapid.Bool().Draw(t, "duplicate"),
			DecidedAt: instant.Draw(t, "at"), Attempt: rapid.IntMin(0).Draw(t, "attempt"),
			MessageID: rapid.StringMatching(`\PC{0,20}`).Draw(t, "message"),
			Steps: order.Steps{
				Wait: micros.Draw(t, "wait"), Cache: micros.Draw(t, "cache"),
				Find: micros.Draw(t, "find"), Commit: micros.Draw(t, "commit"),
				Put: micros.Draw(t, "put"),
			},
		}
		if rapid.Bool().Draw(t, "has first") {
			want.First = &order.First{
				Outcome: answer.Draw(t, "first"), Reason: order.InsufficientFunds,
				Serial: order.Serial(id.Draw(t, "first serial")), DecidedAt: instant.Draw(t, "first at"),
			}
		}
		body, err := order.EncodeResult(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := order.DecodeResult(body)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestOutcome_Text(t *testing.T) {
	t.Parallel()
	for outcome, word := range map[order.Outcome]string{
		order.Paid: "paid", order.Declined: "declined", order.Duplicate: "duplicate",
		order.Conflict: "conflict", order.Rejected: "rejected", order.Retry: "retry",
	} {
		text, err := outcome.MarshalText()
		if err != nil || string(text) != word || outcome.String() != word {
			t.Errorf("outcome %d: text %q, %v, string %q; want %q", outcome, text, err, outcome, word)
		}
		var back order.Outcome
		if err := back.UnmarshalText(text); err != nil || back != outcome {
			t.Errorf("UnmarshalText(%q) = %v, %v", text, back, err)
		}
	}
}

func TestOutcome_Invalid(t *testing.T) {
	t.Parallel()
	for _, outcome := range []order.Outcome{0, order.Retry + 1, 255} {
		if text, err := outcome.MarshalText(); err == nil {
			t.Errorf("outcome %d marshals to %q", outcome, text)
		}
		if !strings.HasPrefix(outcome.String(), "outcome(") {
			t.Errorf("outcome %d is a word: %q", uint8(outcome), outcome)
		}
		if _, err := json.Marshal(map[string]order.Outcome{"outcome": outcome}); err == nil {
			t.Errorf("outcome %d marshals to JSON", outcome)
		}
	}
	for _, word := range []string{"", "Paid", "PAID", "paid ", "outcome(0)", "unknown"} {
		outcome := order.Paid
		if err := outcome.UnmarshalText([]byte(word)); err == nil || outcome != order.Paid {
			t.Errorf("UnmarshalText(%q) = %v, %v; want an error and no change", word, outcome, err)
		}
	}
}
