package main

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
)

// fullPlan has every kind of message.
func fullPlan() plan {
	return plan{
		seed: 7, runID: "trial", orders: 5000, repeats: 1000, alters: 50, malforms: 50,
		payers: 100, payees: 10, payerPrefix: "user-", payeePrefix: "shop-",
		least: order.Money{Minor: 100, Currency: "CNY"}, most: order.Money{Minor: 2000, Currency: "CNY"},
	}
}

func collect(t *testing.T, s source) (all []message) {
	t.Helper()
	for m, err := range s {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// TestPlan_Deterministic: equal plans give equal bytes in the same order, and each part of the
// plan that should make a difference does.
func TestPlan_Deterministic(t *testing.T) {
	t.Parallel()
	base, again := collect(t, fullPlan().source()), collect(t, fullPlan().source())
	same := func(a, b message) bool {
		return a.kind == b.kind && a.order == b.order && a.key == b.key && bytes.Equal(a.body, b.body)
	}
	if !slices.EqualFunc(base, again, same) {
		t.Error("two equal plans differ")
	}
	for name, change := range map[string]func(p *plan){
		"seed":   func(p *plan) { p.seed++ },
		"run ID": func(p *plan) { p.runID = "other" },
	} {
		p := fullPlan()
		change(&p)
		serials := map[order.Serial]bool{}
		for _, m := range base {
			serials[m.order.Serial] = true
		}
		for _, m := range collect(t, p.source()) {
			if serials[m.order.Serial] {
				t.Fatalf("another %s gives %s again", name, m.order.Serial)
			}
		}
	}
}

// TestPlan_Independent: more messages of one kind change nothing about the other kinds.
func TestPlan_Independent(t *testing.T) {
	t.Parallel()
	bodies := func(change func(p *plan)) map[kind]map[string]bool {
		p := fullPlan()
		change(&p)
		all := map[kind]map[string]bool{first: {}, repeat: {}, altered: {}, malformed: {}}
		for _, m := range collect(t, p.source()) {
			all[m.kind][string(m.body)] = true
		}
		return all
	}
	base := bodies(func(*plan) {})
	for changed, change := range map[kind]func(p *plan){
		repeat:    func(p *plan) { p.repeats = 4000 },
		altered:   func(p *plan) { p.alters = 0 },
		malformed: func(p *plan) { p.malforms = 2000 },
	} {
		other := bodies(change)
		for _, k := range kinds() {
			if same := maps.Equal(base[k], other[k]); same != (k != changed) {
				t.Errorf("with another number of %s messages, the %s ones are the same: %v",
					changed, k, same)
			}
		}
	}
}

// TestPlan_Alter: the amount is another one even where there is only one other.
func TestPlan_Alter(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	p.most.Minor = p.least.Minor + 1
	p.alters = p.orders
	amounts := map[order.ID]int64{}
	for _, m := range collect(t, p.source()) {
		checkDrawn(t, p, m.order)
		switch m.kind {
		case first:
			amounts[m.order.ID] = m.order.Amount.Minor
		case altered:
			if m.order.Amount.Minor == amounts[m.order.ID] {
				t.Fatalf("%s is not altered", m.order.ID)
			}
		case repeat, malformed:
		}
	}
}

// TestPlan_Messages: every kind is there exactly as often as was asked for, further messages
// follow their order and not at once, and each is what its kind says.
func TestPlan_Messages(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	all := collect(t, p.source())
	if len(all) != p.messages() {
		t.Errorf("%d messages, want %d", len(all), p.messages())
	}
	originals := map[order.ID]order.Order{}
	at := map[order.ID]int{}
	got := map[kind]int{}
	longest, bodies := 0, map[string]bool{}
	for n, m := range all {
		got[m.kind]++
		original, seen := originals[order.ID(m.key)]
		if seen != (m.kind != first) {
			t.Fatalf("message %d (%s) of %s: seen before: %v", n, m.kind, m.key, seen)
		}
		o, err := order.Decode(m.key, m.body, order.DefaultLimits())
		if (err != nil) != (m.kind == malformed) {
			t.Fatalf("message %d (%s): %v in %q", n, m.kind, err, m.body)
		}
		if bodies[string(m.body)] != (m.kind == repeat) {
			t.Errorf("message %d (%s): body sent before: %v", n, m.kind, m.kind != repeat)
		}
		bodies[string(m.body)] = true
		switch m.kind {
		case first:
			originals[o.ID], at[o.ID] = o, n
			checkDrawn(t, p, o)
			continue
		case repeat:
			if o != original {
				t.Errorf("%+v repeats %+v", o, original)
			}
		case altered:
			same := o
			same.Amount = original.Amount
			if o.Amount == original.Amount || same != original {
				t.Errorf("%+v alters %+v", o, original)
			}
			checkDrawn(t, p, o)
		case malformed:
			if m.order.Serial == original.Serial {
				t.Errorf("malformed message under the order's own serial %s", original.Serial)
			}
		}
		longest = max(longest, n-at[order.ID(m.key)])
	}
	want := map[kind]int{first: 5000, repeat: 1000, altered: 50, malformed: 50}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if longest < maxDelay/2 || longest > 2*maxDelay {
		t.Errorf("the longest way from an order to its further message is %d messages", longest)
	}
}

func checkDrawn(t *testing.T, p plan, o order.Order) {
	t.Helper()
	if o.Amount.Minor < p.least.Minor || o.Amount.Minor > p.most.Minor {
		t.Errorf("amount %s", o.Amount)
	}
}

// TestPlan_Complete: a further message comes even when it is delayed past the last order.
func TestPlan_Complete(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	p.orders, p.repeats, p.alters, p.malforms = 1, 1, 1, 1
	for p.seed = range 1000 {
		if got := len(collect(t, p.source())); got != 4 {
			t.Fatalf("seed %d gives %d messages, want 4", p.seed, got)
		}
	}
}

// TestPlan_Spread: all accounts and all amounts are drawn.
func TestPlan_Spread(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	p.most.Minor = p.least.Minor + 9
	payers, payees, amounts := map[order.Account]int{}, map[order.Account]int{}, map[int64]int{}
	for _, m := range collect(t, p.source()) {
		payers[m.order.Payer]++
		payees[m.order.Payee]++
		amounts[m.order.Amount.Minor]++
	}
	if len(payers) != 100 || len(payees) != 10 || len(amounts) != 10 {
		t.Errorf("%d payers, %d payees, %d amounts", len(payers), len(payees), len(amounts))
	}
	if payers["user-1"] == 0 || payers["user-100"] == 0 || payees["shop-10"] == 0 {
		t.Error("the first or the last account is not drawn")
	}
}

// TestPlan_Stops: a reader that has enough is not given more.
func TestPlan_Stops(t *testing.T) {
	t.Parallel()
	for _, stop := range []int{1, 2, 500, 6099} {
		n := 0
		for _, err := range fullPlan().source() {
			if n++; err != nil || n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped after %d, not %d", n, stop)
		}
	}
}

// TestMalformings: each is refused for its own reason, whatever the order.
func TestMalformings(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 100 {
		o := p.order(n, rng)
		for _, m := range malformings() {
			body := m.spoil(order.Encode(o))
			_, err := order.Decode(string(o.ID), body, order.DefaultLimits())
			var invalid *order.InvalidError
			if !errors.As(err, &invalid) || invalid.Code != m.code {
				t.Fatalf("got %v, want %s for %q", err, m.code, body)
			}
			if tail := []byte(o.ID[len("ORDERID_"):]); !bytes.Contains(body, tail[:len(tail)-1]) {
				t.Errorf("nothing of %s is in %q: it would be equal to another's", o.ID, body)
			}
		}
	}
}

// TestMalform_AllKinds: a load of some size has all of them.
func TestMalform_AllKinds(t *testing.T) {
	t.Parallel()
	p := fullPlan()
	p.malforms = 1000
	seen := map[order.Code]bool{}
	for _, m := range collect(t, p.source()) {
		_, err := order.Decode(m.key, m.body, order.DefaultLimits())
		var invalid *order.InvalidError
		if errors.As(err, &invalid) {
			seen[invalid.Code] = true
		}
	}
	for _, m := range malformings() {
		if !seen[m.code] {
			t.Errorf("no message is wrong for %s", m.code)
		}
	}
}

func TestFraction(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want float64
	}{
		{"20%", 0.2}, {"0.2", 0.2}, {"100%", 1}, {"0", 0}, {"0%", 0}, {"1%", 0.01}, {"12.5%", 0.125},
		{"1", -1}, {"20", -1}, {"101%", -1}, {"-1%", -1}, {"-0", -1}, {"", -1}, {"%", -1}, {"NaN", -1},
		{"Inf", -1}, {"x", -1},
	} {
		var f fraction
		err := f.Set(test.text)
		if (err != nil) != (test.want < 0) || err == nil && float64(f) != test.want {
			t.Errorf("%q: %v, %v", test.text, float64(f), err)
		}
	}
}
