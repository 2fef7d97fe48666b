package mysqlproxy

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/relay/relaytest"
	"example.com/payment/internal/devstack/rule"
)

// TestProxy_Fates: what the server sees, what the client reads, and what is counted.
func TestProxy_Fates(t *testing.T) {
	t.Parallel()
	const made = "#HY000" + ErrorText
	cases := map[string]struct {
		fate   Fate
		reads  string
		serves bool // the server has carried it out
		ends   bool // the connection has ended
	}{
		"Pass":      {Pass(), "\x00done", true, false},
		"CutBefore": {CutBefore(), "end", false, true},
		"CutAfter":  {CutAfter(), "end", true, true},
		"Refuse":    {Refuse(1180), "\xff\x9c\x04" + made, false, false},
		"Accept":    {Accept(), "\x00\x00\x00\x02\x00\x00\x00", false, false},
		"Lie":       {Lie(1180), "\xff\x9c\x04" + made, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := setup(t)
			conn := connect(t, p)
			conn.all(t, "first")
			r := p.Next(Containing("target"), c.fate)
			if got := conn.ask(t, "the target"); got != c.reads {
				t.Errorf("read %q, want %q", got, c.reads)
			}
			if r.Fired() != 1 || r.Matched() != 1 {
				t.Errorf("fired %d of %d", r.Fired(), r.Matched())
			}
			want := []string{"first"}
			if c.serves {
				want = append(want, "the target")
			}
			if c.ends {
				wait(t, "the end at the server", s.ends)
			} else {
				conn.all(t, "the target again") // the rule was for one statement
				want = append(want, "the target again")
			}
			if diff := cmp.Diff(want, s.saw()); diff != "" {
				t.Errorf("statements at the server (-want +got):\n%s", diff)
			}
			if n := p.Errors(1180); n != 0 {
				t.Errorf("%d errors of the server, who sent none", n)
			}
		})
	}
}

// TestProxy_Rows: an answer of several packets passes whole; it can be cut off, and a lie in its
// place costs the connection, whose rows would be taken for the next answer.
func TestProxy_Rows(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	conn := connect(t, p)
	for range 2 {
		for i, want := range []string{"\x01", "row", "\xfeend"} {
			if i == 0 {
				conn.send(t, "SELECT")
			}
			if got := conn.read(); got != want {
				t.Errorf("packet %d: %q, want %q", i, got, want)
			}
		}
	}
	p.Next(Containing("SELECT"), Lie(1205))
	if got := conn.ask(t, "SELECT"); !strings.Contains(got, ErrorText) {
		t.Errorf("read %q, want a lie", got)
	}
	conn.wantEnd(t)
	conn = connect(t, p)
	p.Next(Containing("SELECT"), CutAfter())
	conn.send(t, "SELECT")
	conn.wantEnd(t)
}

// TestProxy_Errors counts those of the server only, by their code.
func TestProxy_Errors(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	conn := connect(t, p)
	conn.ask(t, "DEADLOCK")
	p.Next(Containing("DEADLOCK"), Refuse(1213))
	conn.ask(t, "DEADLOCK")
	p.Next(Containing("DEADLOCK"), Lie(1205)) // the server's own error is counted all the same
	conn.ask(t, "DEADLOCK")
	conn.all(t, "good")
	if p.Errors(1213) != 2 || p.Errors(1205) != 0 || p.Statements() != 4 {
		t.Errorf("1213: %d, 1205: %d, statements: %d",
			p.Errors(1213), p.Errors(1205), p.Statements())
	}
}

// TestProxy_CommitAfter: only the commits of transactions that have sent the statement, of this
// connection, since they began.
func TestProxy_CommitAfter(t *testing.T) {
	t.Parallel()
	const insert = "INSERT INTO payments VALUES (1)"
	cases := map[string]struct {
		statements []string
		fires      int
	}{
		"Paying":        {[]string{"START TRANSACTION", insert, "COMMIT"}, 1},
		"Begin":         {[]string{"BEGIN", insert, "UPDATE", "COMMIT"}, 1},
		"Twice":         {[]string{"BEGIN", insert, "COMMIT", "begin", insert, "COMMIT"}, 2},
		"Other":         {[]string{"START TRANSACTION", "INSERT INTO quarantine", "COMMIT"}, 0},
		"Next":          {[]string{"BEGIN", insert, "COMMIT", "BEGIN", "UPDATE", "COMMIT"}, 1},
		"RolledBack":    {[]string{"BEGIN", insert, "ROLLBACK", "COMMIT"}, 0},
		"BegunAnew":     {[]string{"BEGIN", insert, "BEGIN", "COMMIT"}, 0},
		"NoTransaction": {[]string{insert, "COMMIT"}, 0},
		"NotTheCommit":  {[]string{"BEGIN", insert, "INSERT INTO t VALUES ('COMMIT')"}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			conn, other := connect(t, p), connect(t, p)
			r := p.Add(CommitAfter("INSERT INTO payments"), Pass(), rule.Always())
			other.all(t, "BEGIN")
			conn.all(t, c.statements...)
			other.all(t, "COMMIT")
			if r.Fired() != c.fires {
				t.Errorf("fired %d times, want %d", r.Fired(), c.fires)
			}
		})
	}
}

// TestProxy_RuleInTheMiddle: a rule that comes while a transaction runs knows its beginning.
func TestProxy_RuleInTheMiddle(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	conn := connect(t, p)
	conn.all(t, "BEGIN", "INSERT INTO payments")
	p.Next(CommitAfter("INSERT INTO payments"), CutBefore())
	conn.send(t, "COMMIT")
	conn.wantEnd(t)
}

// TestProxy_SeveralRules: the first that chooses a statement gets it; one that only counts does
// not keep it from the others; a removed one is out.
func TestProxy_SeveralRules(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	counts := p.Add(Match{}, Pass(), rule.Always())
	third := p.Add(Containing("x"), Refuse(1), rule.Every(3))
	rest := p.Add(Containing("x"), Refuse(2), rule.Always())
	conn := connect(t, p)
	for range 6 {
		conn.ask(t, "x")
	}
	rest.Remove()
	conn.all(t, "x", "x")
	third.Remove()
	conn.all(t, "x")
	if counts.Fired() != 9 || third.Fired() != 2 || rest.Fired() != 4 || len(s.saw()) != 3 {
		t.Errorf("counted %d, third %d, rest %d, %d at the server",
			counts.Fired(), third.Fired(), rest.Fired(), len(s.saw()))
	}
}

// TestProxy_Hold: the statement waits, released ones pass, and one whose client has gone away
// reaches the server late.
func TestProxy_Hold(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	conn, gone := connect(t, p), connect(t, p)
	r := p.Add(Containing("target"), Hold(), rule.Always())
	conn.send(t, "target")
	wait(t, "the statement", r.Reached())
	conn.wantSilence(t)
	gone.send(t, "target of one who left")
	for end := time.Now().Add(relaytest.Patience); r.Fired() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the second statement was not held")
		}
	}
	_ = gone.Close()
	if got := s.saw(); len(got) != 0 {
		t.Errorf("%q at the server", got)
	}
	r.Release()
	r.Release() // once more changes nothing
	if got := conn.read(); got != "\x00done" {
		t.Errorf("after the release: %q", got)
	}
	conn.all(t, "target")
	wait(t, "the end of who left", s.ends)
	if got := strings.Join(s.saw(), ";"); !strings.Contains(got, "target of one who left") {
		t.Errorf("%q at the server", got)
	}
}

// TestProxy_CloseWhileHeld: nobody has released it, and nothing is left; goleak sees to the rest.
func TestProxy_CloseWhileHeld(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	conn := connect(t, p)
	r := p.Next(Containing("target"), Hold())
	conn.send(t, "target")
	wait(t, "the statement", r.Reached())
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	conn.wantEnd(t)
	wait(t, "the end at the server", s.ends)
	if got := s.saw(); len(got) != 0 {
		t.Errorf("%q at the server", got)
	}
}

// TestProxy_Swallow: the server has carried it out, the client hears nothing, and when it gives up
// the server does not learn of it.
func TestProxy_Swallow(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	conn := connect(t, p)
	r := p.Next(Containing("target"), Swallow())
	conn.send(t, "target")
	wait(t, "the server's answer", r.Done())
	if diff := cmp.Diff([]string{"target"}, s.saw()); diff != "" {
		t.Errorf("statements at the server (-want +got):\n%s", diff)
	}
	conn.wantSilence(t)
	_ = conn.Close()
	select {
	case <-s.ends:
		t.Error("the server has learnt that the client gave up")
	case <-time.After(relaytest.Glimpse):
	}
	if n := p.CutAll(); n != 1 {
		t.Errorf("%d connections, want the one that was swallowed", n)
	}
	wait(t, "the end at the server", s.ends)
}

// TestProxy_ServerEndsFirst: a fault that needs an answer, and gets none, has not happened.
func TestProxy_ServerEndsFirst(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p, err := Listen("127.0.0.1:0", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := p.Next(Containing("target"), CutAfter())
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Write(packet(1, "\x00\x02\x00\x00"))
	_, _ = conn.Write(packet(0, "\x03target"))
	wait(t, "the statement", r.Reached())
	_ = server.Close()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if r.Fired() != 0 || r.Over() {
		t.Errorf("fired %d, over %t: it still waits for its statement", r.Fired(), r.Over())
	}
}

// TestProxy_LargeStatement of more than one packet passes whole, can be refused whole, and what
// continues it is not taken for a statement.
func TestProxy_LargeStatement(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	conn := connect(t, p)
	text := "INSERT " + strings.Repeat("v", maxLength-len("\x03INSERT "))
	send := func() string {
		if _, err := conn.Write(packet(0, "\x03"+text)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(packet(0, "\x03COMMIT")); err != nil {
			t.Fatal(err)
		}
		return conn.read()
	}
	commits := p.Add(Containing("COMMIT"), Pass(), rule.Always())
	if got := send(); got != "\x00done" {
		t.Fatalf("read %q", got)
	}
	p.Next(Containing("INSERT"), Refuse(1153))
	if got := send(); !strings.Contains(got, ErrorText) {
		t.Errorf("read %q, want a refusal", got)
	}
	conn.all(t, "after")
	got := s.saw()
	if len(got) != 2 || got[0] != text+"\x03COMMIT" || got[1] != "after" {
		t.Errorf("%d statements at the server", len(got))
	}
	if commits.Fired() != 0 || p.Statements() != 3 {
		t.Errorf("%d commits, %d statements", commits.Fired(), p.Statements())
	}
}

// TestProxy_Unreadable: a client whose statements could not be seen does not get in.
func TestProxy_Unreadable(t *testing.T) {
	t.Parallel()
	for name, capability := range map[string]uint32{
		"TLS": withTLS, "Compression": withCompression,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, s := setup(t)
			conn := dial(t, p)
			conn.login(t, 0x200|capability)
			conn.wantEnd(t)
			wait(t, "the end at the server", s.ends)
		})
	}
}

// TestProxy_NotAStatement: a packet in the middle of a dialogue, such as a login's second one, may
// begin with any byte, and other commands are not looked at.
func TestProxy_NotAStatement(t *testing.T) {
	t.Parallel()
	p, s := setup(t)
	r := p.Add(Match{}, CutBefore(), rule.Always())
	conn := connect(t, p)
	for _, raw := range [][]byte{packet(3, "\x03scramble"), packet(0, "\x16PREPARE")} {
		if _, err := conn.Write(raw); err != nil {
			t.Fatal(err)
		}
		if got := conn.read(); got != "\x00done" {
			t.Errorf("read %q", got)
		}
	}
	if r.Matched() != 0 || p.Statements() != 0 || len(s.saw()) != 2 {
		t.Errorf("%d statements of %d packets, %d matched",
			p.Statements(), len(s.saw()), r.Matched())
	}
}

// TestProxy_DownAndUp: the proxy can be the server's outage, too.
func TestProxy_DownAndUp(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	conn := connect(t, p)
	if n, err := p.Down(); n != 1 || err != nil {
		t.Fatalf("Down: %d connections, %v", n, err)
	}
	conn.wantEnd(t)
	if err := p.Up(); err != nil {
		t.Fatal(err)
	}
	connect(t, p).all(t, "again")
}
