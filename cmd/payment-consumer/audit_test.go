package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/payment/internal/mysql"
)

// TestJudge: all is well only if everything was looked at and nothing was found.
func TestJudge(t *testing.T) {
	t.Parallel()
	ledger := mysql.Finding{Rule: "I1", Checked: 1}
	for name, c := range map[string]struct {
		cache  mysql.Finding
		unread error
		ok     bool
		note   string
	}{
		"Well":       {mysql.Finding{Checked: 3, Unverified: 2}, nil, true, ""},
		"EmptyCache": {mysql.Finding{}, nil, true, ""},
		"Violated":   {mysql.Finding{Checked: 3, Violations: 1}, nil, false, ""},
		"Unread":     {mysql.Finding{Checked: 3}, errors.New("no answer"), false, "no answer"},
		"NewEpoch":   {mysql.Finding{Outdated: 9, Unverified: 0}, nil, true, ""},
		"OtherKeys":  {mysql.Finding{Unverified: 9}, nil, false, "none of 9 values verifies"},
	} {
		c.cache.Rule = cacheRule
		v := judge([]mysql.Finding{ledger, c.cache}, c.unread)
		if v.OK != c.ok || !strings.Contains(v.Note, c.note) || (c.note == "") != (v.Note == "") {
			t.Errorf("%s: %+v", name, v)
		}
		if v.Findings[1].Incomplete != (c.note != "") || v.Findings[0].Incomplete {
			t.Errorf("%s: incomplete: %+v", name, v.Findings)
		}
	}
	ledger.Violations = 1
	if judge([]mysql.Finding{ledger, {Rule: cacheRule}}, nil).OK {
		t.Error("a violated ledger is well")
	}
}

// What is not known to hold has no number that says it does.
func TestWriteExposition(t *testing.T) {
	t.Parallel()
	whole := mysql.Finding{Rule: "I1", Checked: 3}
	for name, c := range map[string]struct {
		other mysql.Finding
		want  []string
		never string
	}{
		"Whole": {mysql.Finding{Rule: "I8", Checked: 5, Violations: 2}, []string{
			`payment_audit_violations{rule="I1"} 0`, `payment_audit_violations{rule="I8"} 2`,
			`payment_audit_checked{rule="I8"} 5`, "payment_audit_timestamp_seconds 1.7e+09",
		}, "NaN"},
		"Incomplete": {mysql.Finding{Rule: "I8", Incomplete: true},
			[]string{`payment_audit_violations{rule="I1"} 0`}, "timestamp"},
	} {
		var out strings.Builder
		v := verdict{Findings: []mysql.Finding{whole, c.other}}
		if err := writeExposition(&out, v, time.Unix(1_700_000_000, 0)); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want+"\n") {
				t.Errorf("%s: no %s in\n%s", name, want, out.String())
			}
		}
		if strings.Contains(out.String(), c.never) {
			t.Errorf("%s: %s in\n%s", name, c.never, out.String())
		}
	}
}
