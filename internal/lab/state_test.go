package lab

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestState_Way(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := NewState(c.read)
	s.Named(17, "A")
	seen := Cursor{}
	s.Next(&seen)
	s.Sending("M1")
	s.Sent("M1", "PAY_1", 5, true)
	if n := s.Numbers(); n.Waiting != 1 || n.Sent != 1 {
		t.Errorf("after sending: %+v", n)
	}
	c.now = c.now.Add(7 * time.Millisecond)
	s.Answered(answer("PAY_1", "M1", order.Paid), 2, 0)
	s.Answered(answer("PAY_1", "M1", order.Paid), 2, 0) // the broker hands it over twice
	c.now = c.now.Add(time.Second)
	s.Answered(answer("PAY_1", "M1", order.Duplicate), 2, 1) // delivered again
	s.Answered(answer("PAY_1", "M2", order.Duplicate), 2, 2) // of a sender that is not the lab
	s.Rejected("", 3)

	frame, ok := s.Next(&seen)
	if !ok || frame.Fresh {
		t.Fatalf("frame %+v, %t", frame, ok)
	}
	wantMoves := []Move{
		{Seq: 1, Kind: MoveSent, Queue: 5, Serial: "PAY_1"},
		{Seq: 2, Kind: MoveDecided, Queue: 5, Consumer: "A", Serial: "PAY_1", Outcome: "paid", By: "transaction"},
		{Seq: 3, Kind: MoveDecided, Queue: 5, Consumer: "A", Serial: "PAY_1", Outcome: "duplicate", By: "transaction"},
		{Seq: 4, Kind: MoveDecided, Queue: -1, Consumer: "A", Serial: "PAY_1", Outcome: "duplicate", By: "transaction"},
		{Seq: 5, Kind: MoveRejected, Queue: 3, Outcome: "rejected"},
	}
	if diff := cmp.Diff(wantMoves, frame.Moves); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	wantCounts := &Counts{
		Sent: 1, Deliveries: 3, Again: 1, By: map[string]int64{"transaction": 3},
		Outcomes: map[string]int64{"paid": 1, "duplicate": 2, "rejected": 1},
		Median:   Steps{Cache: 1000, Commit: 3000},
	}
	if diff := cmp.Diff(wantCounts, frame.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	var latencies []int64
	for _, d := range frame.Deliveries {
		latencies = append(latencies, d.LatencyUS)
	}
	if diff := cmp.Diff([]int64{7000, 0, 0}, latencies); diff != "" {
		t.Errorf("latencies (-want +got):\n%s", diff)
	}
	if n := len(s.Answers("PAY_1", "M1")); n != 2 {
		t.Errorf("%d answers to M1", n)
	}
	if frame, ok := s.Next(&seen); ok {
		t.Errorf("nothing has happened, and there is a frame: %+v", frame)
	}
}

// An answer can be here before the sender knows that the broker has the message.
func TestState_AnswerFirst(t *testing.T) {
	t.Parallel()
	s := NewState(time.Now)
	s.Sending("M1")
	s.Answered(answer("PAY_1", "M1", order.Paid), 0, 0)
	s.Sent("M1", "PAY_1", 1, true)
	if n := s.Numbers().Waiting; n != 0 {
		t.Errorf("%d messages wait for an answer", n)
	}
}

// However much happens, what is kept and what one frame holds has a bound, and the counts are right.
func TestState_Bounds(t *testing.T) {
	t.Parallel()
	s := NewState(time.Now)
	seen := Cursor{}
	s.Next(&seen)
	const n = keptSent + 5000
	for i := range n {
		id := fmt.Sprint("M", i)
		s.Sending(id)
		s.Sent(id, fmt.Sprint("PAY_", i), i%8, true)
		if i%2 == 0 {
			s.Answered(answer(fmt.Sprint("PAY_", i), id, order.Paid), 0, int64(i))
		}
	}
	frame, _ := s.Next(&seen)
	if len(frame.Moves) != frameMoves || len(frame.Deliveries) != frameDeliveries {
		t.Errorf("a frame with %d moves and %d deliveries", len(frame.Moves), len(frame.Deliveries))
	}
	if got := len(frame.Moves) + frame.Skipped; got != n+n/2 {
		t.Errorf("%d moves are told of, %d were made", got, n+n/2)
	}
	c := s.Numbers()
	if c.Sent != n || c.Deliveries != n/2 || c.Waiting > keptSent/2 {
		t.Errorf("counts %+v", c)
	}
	if len(s.sent.of) > keptSent || len(s.sent.order) > keptSent || len(s.places) > keptDeliveries ||
		len(s.serials) > keptDeliveries || len(s.deliveries.kept) > 2*keptDeliveries {
		t.Errorf("kept: %d sent, %d places, %d serials, %d deliveries", len(s.sent.of),
			len(s.places), len(s.serials), len(s.deliveries.kept))
	}
	if d := s.Of(fmt.Sprint("PAY_", n-2)); len(d) != 1 {
		t.Errorf("the last delivery is not found: %v", d)
	}
	if d := s.Of("PAY_0"); len(d) != 0 {
		t.Errorf("the first delivery is still there: %v", d)
	}
	for range keptSeconds + 10 {
		s.Tick()
	}
	frame, _ = s.Next(&seen)
	if len(frame.Seconds) != keptSeconds || frame.Seconds[0].All != 0 {
		t.Errorf("%d seconds, the first of %d", len(frame.Seconds), frame.Seconds[0].All)
	}
	for i := range 100 {
		s.setTask(Task{ID: int64(i), State: TaskDone})
	}
	if frame, _ = s.Next(&seen); len(frame.Tasks) != keptTasks || frame.Tasks[0].ID != 100-keptTasks {
		t.Errorf("%d tasks", len(frame.Tasks))
	}
}

// With a new ledger a page begins anew, and takes nothing old for new.
func TestState_NewLedger(t *testing.T) {
	t.Parallel()
	s := NewState(time.Now)
	seen := Cursor{}
	s.Next(&seen)
	s.SetAudit(Audit{State: AuditViolated})
	s.Answered(answer("PAY_1", "M1", order.Paid), 0, 0)
	s.NewLedger("cache-first")
	s.Answered(answer("PAY_2", "M2", order.Paid), 0, 1)
	frame, ok := s.Next(&seen)
	if !ok || !frame.Fresh || frame.Order != "cache-first" || frame.Audit != nil ||
		len(frame.Deliveries) != 1 || frame.Counts.Deliveries != 1 {
		t.Errorf("frame %+v", frame)
	}
	if _, ok := s.Verdict(); ok {
		t.Error("there is a verdict on a ledger that nobody has looked at")
	}
}

// A part that did not change is not sent again.
func TestState_Parts(t *testing.T) {
	t.Parallel()
	s := NewState(time.Now)
	seen := Cursor{}
	s.Next(&seen)
	s.SetServers([]Program{{"redis", Up}})
	frame, _ := s.Next(&seen)
	if len(frame.Servers) != 1 || frame.Counts != nil || frame.Money != nil {
		t.Errorf("frame %+v", frame)
	}
	s.SetServers([]Program{{"redis", Up}})
	if frame, ok := s.Next(&seen); ok {
		t.Errorf("the same again makes a frame: %+v", frame)
	}
	s.SetMoney(Money{Count: 1})
	s.SetMachine(Machine{Hits: 1})
	s.SetConsumers([]Consumer{{Name: "A"}})
	s.SetQuarantine(2)
	frame, _ = s.Next(&seen)
	if frame.Money == nil || frame.Machine == nil || len(frame.Consumers) != 1 || *frame.Quarantine != 2 {
		t.Errorf("frame %+v", frame)
	}
}

func TestState_Seconds(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := NewState(c.read)
	for i := range 100 {
		id := fmt.Sprint("M", i)
		s.Sending(id)
		c.now = c.now.Add(time.Duration(i+1) * time.Microsecond)
		s.Answered(answer("PAY_1", id, order.Paid), 0, int64(i))
	}
	s.Tick()
	frame, _ := s.Next(&Cursor{})
	want := []Second{{At: c.now.Unix(), All: 100, Paid: 100, P50US: 51, P99US: 100, Known: 100}}
	if diff := cmp.Diff(want, frame.Seconds); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	all := []int{1, 2, 3, 4, 5, 6, 7}
	for n, want := range map[int][]int{1: {7}, 3: {2, 4, 7}, 7: all, 9: all} {
		if diff := cmp.Diff(want, spread(all, n)); diff != "" {
			t.Errorf("spread to %d (-want +got):\n%s", n, diff)
		}
	}
}
