package mysql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/payment"
)

// rejected is a message on its way into quarantine.
func rejected(key, body string) payment.Quarantined {
	return payment.Quarantined{
		Kind: payment.KindRejected, Reason: "bad_json", Detail: "must be one JSON object",
		Message: payment.Message{
			Topic: "ORDER_PAYMENT", Key: key, Body: []byte(body), ID: "ID", Broker: "broker-a",
			Queue: 3, Offset: 1 << 40, Attempt: 2,
		},
		At: time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
	}
}

// only returns the one message that is in quarantine.
func only(t *testing.T, q *Quarantine) Item {
	t.Helper()
	items, err := q.List(t.Context(), Filter{Limit: 10})
	if err != nil || len(items) != 1 {
		t.Fatalf("List: %d items, %v, want 1", len(items), err)
	}
	return items[0]
}

func TestQuarantine_KeepsTheMessage(t *testing.T) {
	t.Parallel()
	q := NewQuarantine(newDatabase(t).open(t))
	if err := q.Put(t.Context(), rejected("KEY", `{"a":"?'\"`)); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	want := Item{
		ID: 1, Topic: "ORDER_PAYMENT", Kind: payment.KindRejected, Reason: "bad_json",
		Detail: "must be one JSON object", MessageKey: "KEY", MessageID: "ID", Broker: "broker-a",
		QueueID: 3, QueueOffset: 1 << 40, Attempt: 2, Body: []byte(`{"a":"?'\"`), BodyBytes: 10,
		Deliveries: 1, State: StateOpen, FirstSeenAt: at, LastSeenAt: at,
	}
	got := only(t, q)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List:\n%s", diff)
	}
	same, err := q.Get(t.Context(), got.ID)
	if diff := cmp.Diff(want, same); err != nil || diff != "" {
		t.Errorf("Get: %v\n%s", err, diff)
	}
	if _, err := q.Get(t.Context(), 4711); !errors.Is(err, ErrNotOpen) {
		t.Errorf("Get of none: %v, want ErrNotOpen", err)
	}
}

// No content whatever can make the insert fail.
func TestQuarantine_HostileContent(t *testing.T) {
	t.Parallel()
	db := newDatabase(t).open(t)
	q := NewQuarantine(db)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 2<<20)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	all := string(noise)
	for name, item := range map[string]payment.Quarantined{
		"Nothing":    {Kind: payment.KindRejected, At: time.Now()},
		"NilBody":    {Kind: payment.KindRejected, At: time.Now(), Message: payment.Message{Key: "k"}},
		"BadUTF8":    rejected("\xff\xfe\xc0\x80", "\xed\xa0\x80\xff"),
		"NUL":        rejected("a\x00b", "\x00\x00"),
		"Emoji":      rejected("💸", "💸é\u202e"),
		"SQL":        rejected("'; DROP TABLE payments; -- ?", "\\' \\\\ \x1a ? @x $1 /* */"),
		"Lines":      rejected("a\r\nb", "*\r\n{tag}"),
		"LongKey":    rejected(strings.Repeat("k", 70_000), "x"),
		"LongBody":   rejected("long", all),
		"AllEscaped": rejected("quotes", strings.Repeat("'", 2<<20)),
		"LongAll": {Kind: payment.KindConflict, Reason: all, Detail: all, At: time.Now(),
			Message: payment.Message{Topic: all[:300], ID: all, Broker: all, Body: noise[:1]}},
	} {
		if err := q.Put(t.Context(), item); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	items, err := q.List(t.Context(), Filter{Limit: 100})
	if err != nil || len(items) != 11 {
		t.Fatalf("List: %d items, %v, want 11", len(items), err)
	}
	for _, item := range items {
		if item.MessageKey != "long" {
			continue
		}
		if item.BodyBytes != 2<<20 || !bytes.Equal(item.Body, noise[:maxBody]) {
			t.Errorf("a long body: %d bytes kept of %d", len(item.Body), item.BodyBytes)
		}
	}
}

// A duplicate key is no proof that this message is the one that has it: the insert may have met
// another key. Put must not say that it is kept when it is not.
func TestQuarantine_DuplicateOfAnotherKey(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	w, by := through(t, f.cfg.Address)
	q := NewQuarantine(f.open(t, by))
	for _, code := range []uint16{1062, 1586} {
		item := rejected("KEY", fmt.Sprint(code))
		r := w.Next(mysqlproxy.Containing("INSERT INTO quarantine"), mysqlproxy.Refuse(code))
		if err := q.Put(t.Context(), item); err == nil {
			t.Errorf("error %d: Put says that the message is kept", code)
		}
		met(t, r)
		if err := q.Put(t.Context(), item); err != nil {
			t.Errorf("error %d: afterwards: %v", code, err)
		}
	}
	if n := f.number(t, "SELECT COUNT(*) FROM quarantine WHERE deliveries = 1"); n != 2 {
		t.Errorf("%d messages are kept, want 2", n)
	}
}

// Long keys and bodies that are alike where they are cut are not the same content.
func TestQuarantine_ContentIsToldApartByAllOfIt(t *testing.T) {
	t.Parallel()
	q := NewQuarantine(newDatabase(t).open(t))
	long := strings.Repeat("x", maxBody)
	for _, item := range []payment.Quarantined{
		rejected("k", long+"a"), rejected("k", long+"b"), rejected("ka", long), rejected("k", "a"+long),
		rejected(long+"a", ""), rejected(long+"b", ""),
	} {
		if err := q.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	if items, err := q.List(t.Context(), Filter{Limit: 10}); err != nil || len(items) != 6 {
		t.Errorf("List: %d items, %v, want 6", len(items), err)
	}
}

func TestQuarantine_SameContentIsCounted(t *testing.T) {
	t.Parallel()
	q := NewQuarantine(newDatabase(t).open(t))
	first := rejected("k", "body")
	again := rejected("k", "body")
	again.Kind, again.Reason, again.Serial = payment.KindConflict, "serial_reused", "S1"
	again.Message.ID, again.Message.Offset = "ID2", 7
	again.At = first.At.Add(time.Hour)
	for _, item := range []payment.Quarantined{first, again} {
		if err := q.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	got := only(t, q)
	if got.Deliveries != 2 || !got.LastSeenAt.Equal(stamp(again.At)) ||
		!got.FirstSeenAt.Equal(stamp(first.At)) || got.MessageID != "ID" {
		t.Errorf("after a second delivery: %+v", got)
	}
	if got.Kind != payment.KindConflict || got.Reason != "serial_reused" || got.Serial != "S1" {
		t.Errorf("it does not say what was found wrong last: %+v", got)
	}
}

func TestQuarantine_Resolve(t *testing.T) {
	t.Parallel()
	q := NewQuarantine(newDatabase(t).open(t))
	put := func() Item {
		t.Helper()
		if err := q.Put(t.Context(), rejected("k", "body")); err != nil {
			t.Fatal(err)
		}
		return only(t, q)
	}
	item := put()
	newer := put() // came back while somebody looked at it
	if err := q.Resolve(t.Context(), item, StateReplayed); !errors.Is(err, ErrNotOpen) {
		t.Errorf("Resolve of what has changed since: %v, want ErrNotOpen", err)
	}
	if err := q.Resolve(t.Context(), newer, StateReplayed); err != nil {
		t.Fatal(err)
	}
	if got := only(t, q); got.State != StateReplayed || got.ResolvedAt == nil {
		t.Errorf("after the replay: %+v", got)
	}
	if err := q.Resolve(t.Context(), newer, StateDiscarded); !errors.Is(err, ErrNotOpen) {
		t.Errorf("Resolve of what is replayed: %v, want ErrNotOpen", err)
	}
	back := put()
	if back.State != StateOpen || back.ResolvedAt != nil || back.Deliveries != 3 {
		t.Errorf("after it came back from a replay: %+v", back)
	}
	if err := q.Resolve(t.Context(), back, StateDiscarded); err != nil {
		t.Fatal(err)
	}
	if got := put(); got.State != StateDiscarded || got.Deliveries != 4 || got.ResolvedAt == nil {
		t.Errorf("after it came back though discarded: %+v", got)
	}
}

func TestQuarantine_ListAndGroups(t *testing.T) {
	t.Parallel()
	q := NewQuarantine(newDatabase(t).open(t))
	for i := range 25 {
		item := rejected(fmt.Sprint("k", i), "x")
		if i%5 == 0 {
			item.Kind, item.Reason, item.Serial = payment.KindConflict, "serial_reused", "S1"
		}
		if err := q.Put(t.Context(), item); err != nil {
			t.Fatal(err)
		}
	}
	list := func(f Filter) []Item {
		t.Helper()
		items, err := q.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	if err := q.Resolve(t.Context(), list(Filter{})[0], StateDiscarded); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter Filter
		want   int
	}{
		{Filter{Limit: 100}, 25}, {Filter{}, 1}, {Filter{State: StateOpen, Limit: 100}, 24},
		{Filter{Kind: payment.KindConflict, Limit: 100}, 5},
		{Filter{Kind: payment.KindConflict, State: StateDiscarded, Limit: 100}, 1},
		{Filter{Reason: "bad_json", Limit: 100}, 20}, {Filter{Serial: "S1", Limit: 3}, 3},
		{Filter{Serial: "s1", Limit: 3}, 0}, {Filter{Reason: "é\xff", Limit: 3}, 0},
	} {
		if got := len(list(c.filter)); got != c.want {
			t.Errorf("%+v: %d messages, want %d", c.filter, got, c.want)
		}
	}
	var seen int
	for f := (Filter{Limit: 7}); ; {
		page := list(f)
		if len(page) == 0 {
			break
		}
		seen += len(page)
		f.After = page[len(page)-1].ID
	}
	if seen != 25 {
		t.Errorf("paging saw %d messages, want 25", seen)
	}
	want := []Group{
		{payment.KindConflict, "serial_reused", StateDiscarded, 1},
		{payment.KindConflict, "serial_reused", StateOpen, 4},
		{payment.KindRejected, "bad_json", StateOpen, 20},
	}
	if got, err := q.Groups(t.Context()); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Groups: %v\n%s", err, cmp.Diff(want, got))
	}
	if got, err := q.OpenGroups(t.Context()); err != nil || cmp.Diff(want[1:], got) != "" {
		t.Errorf("OpenGroups: %v\n%s", err, cmp.Diff(want[1:], got))
	}
}

// A flood of poison, much of it the same, from several consumers: everything is kept and counted,
// and no delivery is given back because two of them met.
func TestQuarantine_Flood(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	w, by := through(t, f.cfg.Address)
	quarantines := []*Quarantine{NewQuarantine(f.open(t, by)), NewQuarantine(f.open(t, by))}
	const messages, kinds = 400, 50
	var wg sync.WaitGroup
	for n := range messages {
		wg.Go(func() {
			item := rejected(fmt.Sprint("k", n%kinds), "poison")
			if err := quarantines[n%2].Put(t.Context(), item); err != nil {
				t.Errorf("message %d: %v", n, err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d deadlocks", w.Errors(1213))
	if n := f.number(t, "SELECT COUNT(*) FROM quarantine"); n != kinds {
		t.Errorf("%d rows, want %d", n, kinds)
	}
	if n := f.number(t, "SELECT SUM(deliveries) FROM quarantine"); n != messages {
		t.Errorf("%d deliveries, want %d", n, messages)
	}
}

// A statement that lost to another session is tried again; one whose answer was lost may count
// a delivery twice, and never loses the message.
func TestQuarantine_Faults(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	w, by := through(t, f.cfg.Address)
	q := NewQuarantine(f.open(t, by))
	r := w.Next(mysqlproxy.Containing("INSERT INTO quarantine"), mysqlproxy.Refuse(1213))
	if err := q.Put(t.Context(), rejected("k", "x")); err != nil {
		t.Errorf("after a deadlock at the insert: %v", err)
	}
	met(t, r)
	r = w.Next(mysqlproxy.Containing("UPDATE quarantine"), mysqlproxy.Refuse(1205))
	if err := q.Put(t.Context(), rejected("k", "x")); err != nil {
		t.Errorf("after a lock wait timeout at the update: %v", err)
	}
	met(t, r)
	r = w.Next(mysqlproxy.Containing("INSERT INTO quarantine"), mysqlproxy.CutAfter())
	if err := q.Put(t.Context(), rejected("new", "x")); err == nil {
		t.Error("a lost answer was taken for a success")
	}
	met(t, r)
	if err := q.Put(t.Context(), rejected("new", "x")); err != nil {
		t.Errorf("after a lost answer: %v", err)
	}
	if n := f.number(t, "SELECT SUM(deliveries) FROM quarantine"); n != 4 {
		t.Errorf("%d deliveries, want 4", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Put(ctx, rejected("late", "x")); err == nil {
		t.Error("Put with a cancelled context: no error")
	}
}
