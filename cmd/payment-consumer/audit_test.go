package main

import (
	"errors"
	"strings"
	"testing"

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
