package mysql

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/order"
	"example.com/payment/internal/payment"
)

// auditedLedger is a ledger with paid, declined and repeated payments, in order.
func auditedLedger(t *testing.T) (*fixture, *Store) {
	t.Helper()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee", "third")
	s := f.store(t)
	for _, req := range []payment.Request{
		pay("S1"), pay("S2"), requestFor("S3", "O-S3", "payee", "third", 500),
		requestFor("poor", "O-poor", "payer", "payee", 5000),
		requestFor("S1-again", "O-S1", "payer", "payee", 10),
	} {
		commitOne(t, s, req)
	}
	return f, s
}

func TestAudit_Clean(t *testing.T) {
	t.Parallel()
	f, s := auditedLedger(t)
	findings, err := s.db.Audit(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, finding := range findings {
		rules = append(rules, finding.Rule)
		if finding.Violations != 0 || finding.Text == "" {
			t.Errorf("%+v", finding)
		}
	}
	if diff := cmp.Diff([]string{"I1", "I2", "I3", "I5", "I8"}, rules); diff != "" {
		t.Error(diff)
	}
	if findings[1].Checked != 5 || findings[2].Checked != 3 {
		t.Errorf("looked at %d payments and %d accounts", findings[1].Checked, findings[2].Checked)
	}
	if counts, err := s.db.CountPayments(t.Context()); err != nil ||
		cmp.Diff(map[string]int64{"paid": 3, "declined": 1, "duplicate": 1}, counts) != "" {
		t.Errorf("CountPayments: %v, %v", counts, err)
	}
	f.audited(t)
}

// Each violation, planted by a hand with all rights, is found by the rules that it breaks and by
// no other one.
func TestAudit_FindsEachViolation(t *testing.T) {
	t.Parallel()
	const payment9 = "INSERT INTO payments SELECT 'S9', 'O-S9', %s, payer, payee, 10, currency, " +
		"%s, '', NULL, fingerprint, 1, created_at FROM payments WHERE serial_no = 'S1'"
	for name, c := range map[string]struct {
		plant []string
		want  string // rules
		says  string
	}{
		"MoneyAppears": {[]string{"UPDATE accounts SET balance_minor = balance_minor + 1 " +
			"WHERE account_id = 'payer'"}, "I1 I3", "payer"},
		"MoneyMoves": {[]string{
			"UPDATE accounts SET balance_minor = balance_minor + 1 WHERE account_id = 'payer'",
			"UPDATE accounts SET balance_minor = balance_minor - 1 WHERE account_id = 'payee'",
		}, "I3", "payer"},
		"AccountVanishes": {[]string{"DELETE FROM accounts WHERE account_id = 'third'"},
			"I1 I3", "third"},
		"PaidWithoutEntries": {[]string{fmt.Sprintf(payment9, "'O-S9'", "'paid'")}, "I2", "S9"},
		"OneEntry": {[]string{"DELETE FROM ledger_entries WHERE serial_no = 'S1' " +
			"AND amount_minor < 0"}, "I2 I3", "S1"},
		"ThreeEntries": {[]string{"INSERT INTO ledger_entries VALUES ('S1', 'third', 1, NOW())"},
			"I2 I3", "S1"},
		"UnequalEntries": {[]string{"UPDATE ledger_entries SET amount_minor = 11 " +
			"WHERE serial_no = 'S1' AND amount_minor = 10"}, "I2 I3", "S1"},
		"OtherAmount": {[]string{"UPDATE payments SET amount_minor = 11 WHERE serial_no = 'S1'"},
			"I2", "S1"},
		"OtherParty": {[]string{"UPDATE payments SET payee = 'third' WHERE serial_no = 'S1'"},
			"I2", "S1"},
		"Reversed": {[]string{
			"UPDATE ledger_entries SET amount_minor = -amount_minor WHERE serial_no = 'S1'"},
			"I2 I3", "S1"},
		"StrayEntry": {[]string{"INSERT INTO ledger_entries VALUES ('gone', 'payer', 1, NOW())"},
			"I2 I3", "gone"},
		"DeclinedWithEntries": {[]string{
			"INSERT INTO ledger_entries VALUES ('poor', 'payer', -1, NOW())",
			"INSERT INTO ledger_entries VALUES ('poor', 'payee', 1, NOW())"}, "I2 I3", "poor"},
		"StrayAccount": {[]string{"UPDATE ledger_entries SET account_id = 'nobody' " +
			"WHERE serial_no = 'S1' AND amount_minor > 0"}, "I2 I3", "nobody"},
		"OrderPaidTwice": {[]string{"ALTER TABLE payments DROP KEY uq_payments_paid_order",
			"UPDATE payments SET order_id = 'O-S1', paid_order_id = 'O-S1' " +
				"WHERE serial_no = 'S2'"}, "I5", "O-S1"},
		"SerialTwice": {[]string{"ALTER TABLE payments DROP PRIMARY KEY",
			"INSERT INTO payments SELECT * FROM payments WHERE serial_no = 'poor'"}, "I5", "poor"},
		"RepeatsNothing": {[]string{"UPDATE payments SET first_serial = 'nobody' " +
			"WHERE serial_no = 'S1-again'"}, "I5", "S1-again"},
		"RepeatsDeclined": {[]string{"UPDATE payments SET first_serial = 'poor' " +
			"WHERE serial_no = 'S1-again'"}, "I5", "S1-again"},
		"RepeatsOther": {[]string{"UPDATE payments SET first_serial = 'S2' " +
			"WHERE serial_no = 'S1-again'"}, "I5", "S1-again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := auditedLedger(t)
			for _, statement := range c.plant {
				f.exec(t, statement)
			}
			findings, err := s.db.Audit(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			expectFindings(t, findings, c.want, c.says)
		})
	}
}

func expectFindings(t *testing.T, findings []Finding, want, says string) {
	t.Helper()
	var rules, examples []string
	for _, finding := range findings {
		if finding.Violations > 0 {
			rules = append(rules, finding.Rule)
			examples = append(examples, finding.Examples...)
		}
	}
	if got := strings.Join(rules, " "); got != want {
		t.Errorf("found by %q, want %q: %v", got, want, examples)
	}
	if !slices.ContainsFunc(examples, func(e string) bool { return strings.Contains(e, says) }) {
		t.Errorf("no example names %q: %v", says, examples)
	}
}

// The examples are bounded, the count is not.
func TestAudit_ManyViolations(t *testing.T) {
	t.Parallel()
	f, s := auditedLedger(t)
	for i := range 50 {
		f.exec(t, "INSERT INTO ledger_entries VALUES (?, 'payer', 1, NOW())", fmt.Sprint("x", i))
	}
	findings, err := s.db.Audit(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := findings[1]; f.Violations != 50 || len(f.Examples) != maxExamples {
		t.Errorf("%d violations, %d examples, want 50 and %d",
			f.Violations, len(f.Examples), maxExamples)
	}
}

// A table that takes long to read is no outage.
func TestAudit_OutlastsTheReadTimeout(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	w, by := through(t, f.cfg.Address)
	db := f.open(t, by, func(c *Config) {
		c.LockWait, c.ReadTimeout = time.Second, 1100*time.Millisecond
	})
	r := w.Next(mysqlproxy.Containing("LEFT JOIN ledger_entries"), mysqlproxy.Hold())
	timer := time.AfterFunc(2*db.cfg.ReadTimeout, func() { r.Release() })
	defer timer.Stop()
	if _, err := db.Audit(t.Context(), nil); err != nil {
		t.Errorf("Audit: %v", err)
	}
	met(t, r)
}

func TestAudit_Cache(t *testing.T) {
	t.Parallel()
	_, s := auditedLedger(t)
	sum, _ := pay("S1").Fingerprint(1)
	good := Cached{Key: "S1", Known: sum, Outcome: order.Paid, Expires: true}
	forged := good
	forged.Known.Sum[0]++
	for name, c := range map[string]struct {
		cached Cached
		want   string
	}{
		"Good":       {good, ""},
		"Unverified": {Cached{Key: "S1", Expires: true}, ""},
		"Outdated":   {Cached{Key: "S1", Expires: true, Outdated: true}, ""},
		"Hostile":    {Cached{Key: "\xff\x00é'", Expires: true}, ""},
		"Unknown":    {Cached{Key: "S7", Known: sum, Outcome: order.Paid, Expires: true}, "S7"},
		"OddKey":     {Cached{Key: "é", Known: sum, Outcome: order.Paid, Expires: true}, "é"},
		"OtherCase":  {Cached{Key: "s1", Known: sum, Outcome: order.Paid, Expires: true}, "s1"},
		"Content":    {forged, "another fingerprint"},
		"Outcome":    {Cached{Key: "S1", Known: sum, Outcome: order.Declined, Expires: true}, "paid"},
		"ForEver":    {Cached{Key: "S1", Known: sum, Outcome: order.Paid}, "without an expiry"},
		"ForEverBad": {Cached{Key: "S1"}, "without an expiry"},
	} {
		findings, err := s.db.Audit(t.Context(), []Cached{good, c.cached, good})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		last := findings[len(findings)-1]
		found := strings.Join(last.Examples, " ")
		if last.Checked+last.Unverified+last.Outdated != 3 || (last.Violations == 0) != (c.want == "") ||
			!strings.Contains(found, c.want) {
			t.Errorf("%s: %+v, want %q", name, last, c.want)
		}
	}
	var many []Cached
	for i := range 2*chunkSize + 1 {
		many = append(many, Cached{Key: idem.Key(fmt.Sprint("k", i)), Known: sum, Expires: true})
	}
	findings, err := s.db.Audit(t.Context(), many)
	if last := findings[len(findings)-1]; err != nil || last.Violations != int64(len(many)) {
		t.Errorf("%d violations, %v, want %d", last.Violations, err, len(many))
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	_, s := auditedLedger(t)
	got, err := s.db.Trace(t.Context(), "S1")
	if err != nil || got.Payment == nil || got.Payment.Status != "paid" ||
		got.Payment.AmountMinor != 10 || got.Payment.FirstSerial != nil {
		t.Fatalf("Trace: %+v, %v", got.Payment, err)
	}
	if len(got.Entries) != 2 || got.Entries[0].AccountID != "payer" ||
		got.Entries[0].AmountMinor != -10 || got.Entries[1].AmountMinor != 10 {
		t.Errorf("entries %+v", got.Entries)
	}
	if len(got.Siblings) != 1 || got.Siblings[0].SerialNo != "S1-again" ||
		got.Siblings[0].FirstSerial == nil || *got.Siblings[0].FirstSerial != "S1" {
		t.Errorf("siblings %+v", got.Siblings)
	}
	for _, serial := range []string{"", "nobody", "s1", "S1 ", "é", "S\xff", "' OR '1'='1",
		strings.Repeat("x", 70_000)} {
		if got, err := s.db.Trace(t.Context(), serial); err != nil || got.Payment != nil {
			t.Errorf("Trace of %.20q: %+v, %v, want nothing", serial, got.Payment, err)
		}
	}
}
