package rule

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chosen tells a rule of n events and returns the numbers, from 1, of those that it chose.
func chosen(r *Rule, n int) []int {
	var numbers []int
	for i := range n {
		if r.Take() {
			r.Fire()
			numbers = append(numbers, i+1)
		}
	}
	return numbers
}

func TestRule_Schedules(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		when When
		want []int
	}{
		"Zero":      {When{}, nil},
		"Once":      {Once(), []int{1}},
		"Always":    {Always(), []int{1, 2, 3, 4, 5, 6, 7}},
		"Every":     {Every(3), []int{3, 6}},
		"EveryZero": {Every(0), []int{1, 2, 3, 4, 5, 6, 7}},
		"Never":     {Chance(0, 1), nil},
		"Certain":   {Chance(1, 1), []int{1, 2, 3, 4, 5, 6, 7}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := New(c.when)
			if diff := cmp.Diff(c.want, chosen(r, 7)); diff != "" {
				t.Errorf("chosen (-want +got):\n%s", diff)
			}
			if r.Fired() != len(c.want) || r.Matched() != 7 {
				t.Errorf("%d fired of %d", r.Fired(), r.Matched())
			}
		})
	}
}

// TestRule_Chance: a seed can be repeated, and the share is about p.
func TestRule_Chance(t *testing.T) {
	t.Parallel()
	first, again := chosen(New(Chance(0.3, 7)), 1000), chosen(New(Chance(0.3, 7)), 1000)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed chose otherwise:\n%s", diff)
	}
	if n := len(first); n < 240 || n > 360 {
		t.Errorf("%d of 1000 chosen with p = 0.3", n)
	}
	if cmp.Equal(first, chosen(New(Chance(0.3, 8)), 1000)) {
		t.Error("another seed chose the same")
	}
}

// TestRule_GiveBack: a fault that could not happen is not counted, and a rule for one event waits
// for the next one; while the first is under way, nobody else is chosen.
func TestRule_GiveBack(t *testing.T) {
	t.Parallel()
	r := New(Once())
	if isClosed(r.Reached()) {
		t.Error("reached before any event")
	}
	if !r.Take() || r.Take() {
		t.Fatal("want the first event chosen, and not the second as well")
	}
	if !isClosed(r.Reached()) || isClosed(r.Done()) {
		t.Error("want reached, and not yet done")
	}
	r.GiveBack()
	if r.Fired() != 0 || r.Over() {
		t.Errorf("given back: fired %d, over %t", r.Fired(), r.Over())
	}
	if !r.Take() {
		t.Fatal("the next event was not chosen")
	}
	r.Fire()
	if r.Fired() != 1 || !r.Over() || !isClosed(r.Done()) {
		t.Errorf("fired %d, over %t", r.Fired(), r.Over())
	}
}

// TestRule_Remove: what is under way is still counted, and nothing else is chosen.
func TestRule_Remove(t *testing.T) {
	t.Parallel()
	r := New(Always())
	if !r.Take() {
		t.Fatal("not chosen")
	}
	r.Remove()
	r.Fire()
	if r.Take() || r.Fired() != 1 || r.Matched() != 1 || !r.Over() {
		t.Errorf("removed: fired %d of %d, over %t", r.Fired(), r.Matched(), r.Over())
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
