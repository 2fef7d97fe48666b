package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// readAll returns what a file gives: bodies, and errors as texts. It looks at the bodies at the
// end: what is sent later must not change while more is read.
func readAll(in io.Reader, format string) (bodies, problems []string) {
	var all []message
	for m, err := range readFile("F", in, format) {
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		all = append(all, m)
	}
	for _, m := range all {
		bodies = append(bodies, m.key+" "+string(m.body))
	}
	return bodies, problems
}

const someOrders = "\ufefforder_id,serial_no,payer,payee,amount,currency\r\n" +
	"O1,P1,user-1,shop-1,12.5,CNY\r\n" +
	"O2,P2,user-1,shop-1,12.505,CNY\n" +
	"\n" +
	"O3,P3,user-1,shop-1,12,XXX\n" +
	"O4,P4,user 1,shop-1,12,CNY\n" +
	"O5,P5,user-1,shop-1\n" +
	"O6,P\"6,user-1,shop-1,1,CNY\n" +
	" O7 , P7,\"user-1\",shop-1,500,JPY\n" +
	"O8,P8,user-1,shop-1,0,CNY\n" +
	"O9,\"P9,user-1,shop-1,1,CNY\n" +
	"O10,P10,user-1,shop-1,0.01,CNY"

// TestReadFile_CSV: good lines are orders, bad ones are told with their number, and a stray
// quote swallows nothing behind its line.
func TestReadFile_CSV(t *testing.T) {
	t.Parallel()
	bodies, problems := readAll(strings.NewReader(someOrders), formatCSV)
	message := func(n, amount, currency string) string {
		return "O" + n + ` {"version":1,"order_id":"O` + n + `","serial_no":"P` + n +
			`","payer":"user-1","payee":"shop-1","amount":` + amount + `,"currency":"` + currency + `"}`
	}
	want := []string{message("1", "1250", "CNY"), message("7", "500", "JPY"), message("10", "1", "CNY")}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Error(diff)
	}
	wantStarts(t, problems, "F: line 3: bad_amount", "F: line 5: unknown_currency",
		"F: line 6: bad_id: payer", "F: line 7: has 4 fields, and the header 6",
		"F: line 8: is not CSV", "F: line 10: bad_amount", "F: line 11: is not CSV")
}

// TestReadFile_Columns: they may come in any order.
func TestReadFile_Columns(t *testing.T) {
	t.Parallel()
	bodies, problems := readAll(strings.NewReader(
		"currency,amount,payee,payer,serial_no,order_id\nCNY,1,s,u,P1,O1\n"), formatCSV)
	want := []string{`O1 {"version":1,"order_id":"O1","serial_no":"P1","payer":"u","payee":"s",` +
		`"amount":100,"currency":"CNY"}`}
	if diff := cmp.Diff(want, bodies); diff != "" || len(problems) > 0 {
		t.Error(diff, problems)
	}
}

func TestReadFile_Header(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                               "F: the file is empty",
		"order_id;serial_no;payer\n":     `F: the header has "order_id;serial_no;payer"`,
		"order_id,order_id\n":            "F: the header has order_id twice",
		"order_id,payer,payee,amount\n":  "F: the header lacks serial_no",
		"O1,P1,user-1,shop-1,12.5,CNY\n": `F: the header has "O1"`,
		strings.Repeat("x", maxLine+9):   "F: is longer than",
	} {
		bodies, problems := readAll(strings.NewReader(text), formatCSV)
		if len(bodies) > 0 {
			t.Errorf("%.40q gave %q", text, bodies)
		}
		wantStarts(t, problems, want)
	}
}

// TestReadFile_JSON: the line itself is sent, with what is not known here.
func TestReadFile_JSON(t *testing.T) {
	t.Parallel()
	good := `{"version":1,"order_id":"O1","serial_no":"P1","payer":"u","payee":"s","amount":250,` +
		`"currency":"CNY","note":"new"}`
	text := strings.Join([]string{
		good,
		strings.Replace(good, "250", "2.50", 1),
		"", "  " + good + "\r",
		`{nope`, `[]`, `"x"`, strings.Replace(good, `"O1"`, `7`, 1),
		strings.Replace(good, `"order_id":"O1",`, ``, 1),
		strings.Repeat("y", 3*maxLine),
		good,
	}, "\n")
	for _, in := range []io.Reader{
		strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text + "\n")),
	} {
		bodies, problems := readAll(in, formatJSONL)
		if diff := cmp.Diff([]string{"O1 " + good, "O1 " + good, "O1 " + good}, bodies); diff != "" {
			t.Error(diff)
		}
		wantStarts(t, problems, "F: line 2: bad_amount", "F: line 5: bad_json",
			"F: line 6: not_an_object", "F: line 7: not_an_object",
			"F: line 8: wrong_type: order_id", "F: line 9: missing_field: order_id",
			"F: line 10: is longer than")
	}
}

// TestReadFile_Broken: when reading fails there are no more lines.
func TestReadFile_Broken(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	in := io.MultiReader(strings.NewReader("{\n"), iotest.ErrReader(cause))
	_, problems := readAll(in, formatJSONL)
	wantStarts(t, problems, "F: line 1: bad_json", "F: disk on fire")
	for _, err := range readFile("F", iotest.ErrReader(cause), formatCSV) {
		var line *lineError
		if !errors.Is(err, cause) || errors.As(err, &line) {
			t.Errorf("got %v", err)
		}
	}
}

// TestInterruptible: a read that nobody answers ends with the context, and what a late answer
// brings does not reach a buffer that has another use by then.
func TestInterruptible(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r := interruptible(ctx, in)
	cancel()
	buffer := make([]byte, 8)
	if n, err := r.Read(buffer); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d, %v", n, err)
	}
	if _, err := out.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	if buffer[0] != 0 {
		t.Errorf("the buffer has %q", buffer)
	}
	whole, err := io.ReadAll(interruptible(t.Context(), strings.NewReader(someOrders)))
	if err != nil || string(whole) != someOrders {
		t.Errorf("read %d bytes, %v", len(whole), err)
	}
}

// TestFileFormat: the name says it, unless a flag does.
func TestFileFormat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ path, asked, want string }{
		{"a.csv", "", formatCSV}, {"a.CSV", "", formatCSV}, {"a.jsonl", "", formatJSONL},
		{"a.ndjson", "", formatJSONL}, {"a.csv", "jsonl", formatJSONL}, {"-", "csv", formatCSV},
		{"-", "", ""}, {"a.json", "", ""}, {"a.csv", "tsv", ""},
	} {
		got, err := fileFormat(test.path, test.asked)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%q, %q: %q, %v", test.path, test.asked, got, err)
		}
	}
}

// wantStarts compares texts by how they begin.
func wantStarts(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for n := range want {
		if !strings.HasPrefix(got[n], want[n]) {
			t.Errorf("got %q, want %q", got[n], want[n])
		}
	}
}
