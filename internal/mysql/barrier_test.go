package mysql

import (
	"errors"
	"strings"
	"testing"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/devstack/rule"
	"example.com/payment/internal/idem"
)

// What a lookup has found is answered once a commit of the consumer's own is behind it; a lookup
// that has found nothing has nothing to make sure of.
func TestStore_FindPassesTheBarrier(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	commitOne(t, s, pay("S"))
	seen := w.Add(mysqlproxy.Containing("UPDATE read_barrier"), mysqlproxy.Pass(), rule.Always())
	for i, keys := range [][]idem.Key{{"T"}, {"S"}, {"T", "S", "U"}} {
		found, err := s.Find(t.Context(), keys)
		if err != nil || len(found) != min(i, 1) || seen.Fired() != i {
			t.Errorf("Find %q: %d records, %v; %d passes of the barrier, want %d", keys, len(found),
				err, seen.Fired(), i)
		}
	}
	if n := f.number(t, "SELECT passed FROM read_barrier"); n != 2 {
		t.Errorf("the barrier was passed %d times, want 2", n)
	}
}

// While the barrier cannot be passed nothing is answered, and what lost against another session is
// tried again.
func TestStore_FindWithoutBarrier(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	commitOne(t, s, pay("S"))
	for name, fate := range map[string]mysqlproxy.Fate{
		"ReadOnly": mysqlproxy.Refuse(1290), "DiskFull": mysqlproxy.Refuse(1114),
		"CutBefore": mysqlproxy.CutBefore(), "CutAfter": mysqlproxy.CutAfter(),
	} {
		r := w.Next(mysqlproxy.Containing("UPDATE read_barrier"), fate)
		found, err := s.Find(t.Context(), []idem.Key{"S"})
		met(t, r)
		if len(found) != 0 || !errors.Is(err, idem.ErrUnavailable) {
			t.Errorf("%s: %d records, %v, want none, and ErrUnavailable", name, len(found), err)
		}
	}
	r := w.Next(mysqlproxy.Containing("UPDATE read_barrier"), mysqlproxy.Refuse(1213))
	if found, err := s.Find(t.Context(), []idem.Key{"S"}); err != nil || len(found) != 1 {
		t.Errorf("after a deadlock: %d records, %v", len(found), err)
	}
	met(t, r)
	f.exec(t, "DELETE FROM read_barrier")
	if found, err := s.Find(t.Context(), []idem.Key{"S"}); len(found) != 0 ||
		!errors.Is(err, idem.ErrUnavailable) {
		t.Errorf("without its row: %d records, %v, want none, and ErrUnavailable", len(found), err)
	}
	if err := s.db.Check(t.Context(), true); err == nil ||
		!strings.Contains(err.Error(), "read_barrier has no row") {
		t.Errorf("Check without the row: %v", err)
	}
}
