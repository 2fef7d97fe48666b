package mysql

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack/mysqlproxy"
	"example.com/payment/internal/idem"
	"example.com/payment/internal/payment"
	"example.com/payment/internal/tracing"
	"example.com/payment/internal/tracing/tracingtest"
)

// Each statement of a commit is a span, its COMMIT too, under the span of the caller, and none of
// them holds a value.
func TestTrace_Commit(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	s := f.store(t)
	tracer, spans := tracingtest.New(100)
	ctx, span := tracer.Start(t.Context(), "batch", tracing.Internal, noAttributes)
	if _, err := s.Commit(ctx, []payment.Request{pay("SECRET-SERIAL")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(ctx, []idem.Key{"SECRET-SERIAL"}); err != nil {
		t.Fatal(err)
	}
	span.End("")
	want := []string{
		"SELECT accounts", "INSERT payments", "INSERT ledger_entries",
		"INSERT accounts", "COMMIT", "SELECT payments", "UPDATE read_barrier", "batch",
	}
	if diff := cmp.Diff(want, spans.Names()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	batch := spans.Named("batch")[0]
	for _, s := range spans.Spans() {
		if s.Name != "batch" && s.Parent != batch.ID {
			t.Errorf("%s is under %s", s.Name, s.Parent)
		}
		for name, value := range s.Attributes {
			if strings.Contains(value, "SECRET") || len(value) > maxStatement {
				t.Errorf("%s: %s is %q", s.Name, name, value)
			}
		}
		if s.ErrorType != "" || s.Name != "batch" && s.Attributes["db.system.name"] != "mysql" {
			t.Errorf("%s: %v", s.Name, s.Attributes)
		}
	}
}

// What fails says so in its span, by the server's number, and the transaction is rolled back.
func TestTrace_Failure(t *testing.T) {
	t.Parallel()
	f := newDatabase(t)
	f.accounts(t, 1000, "payer", "payee")
	w, by := through(t, f.cfg.Address)
	s := f.store(t, by)
	tracer, spans := tracingtest.New(100)
	ctx, span := tracer.Start(t.Context(), "batch", tracing.Internal, noAttributes)
	r := w.Next(mysqlproxy.Containing("INSERT INTO payments"), mysqlproxy.Refuse(1114))
	if _, err := s.Commit(ctx, []payment.Request{pay("S")}); err == nil {
		t.Error("no error")
	}
	met(t, r)
	span.End("")
	insert := spans.Named("INSERT payments")
	if len(insert) != 1 || insert[0].ErrorType != "1114" || insert[0].Kind != "client" {
		t.Errorf("%+v", insert)
	}
	if !slices.Contains(spans.Names(), "ROLLBACK") {
		t.Errorf("no ROLLBACK in %q", spans.Names())
	}
}

func noAttributes() tracing.Attributes { return nil }

func TestSummary(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "SELECT quarantine", "  select 1": "SELECT", "INSERT INTO payments (a) VALUES (?)": "INSERT payments",
		"UPDATE quarantine SET a = ?":                     "UPDATE quarantine",
		"SELECT a\nFROM `accounts` FORCE INDEX (PRIMARY)": "SELECT accounts",
		"SELECT a FROM (SELECT b FROM c)":                 "SELECT SELECT",
		"SELECT FROM":                                     "SELECT", "X": "X",
		"SELECT " + strings.Repeat("a, ", 500) + "a FROM payments": "SELECT",
	} {
		if got := summary(text, "quarantine"); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}
