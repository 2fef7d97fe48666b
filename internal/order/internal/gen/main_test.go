package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableIsUpToDate(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "currency_table.go")
	if err := run("iso4217.csv", fresh); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(t, "../../currency_table.go"), contents(t, fresh)); diff != "" {
		t.Errorf("run go generate in internal/order (-checked in +fresh):\n%s", diff)
	}
}

func contents(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRead(t *testing.T) {
	t.Parallel()
	const file = "code,number,digits,kind,name\n# a comment\n" +
		"ZZZ,001,2,currency,Last\nJPY,392,0,currency,Yen\nAAA,002,2,currency,First\n" +
		"CLF,990,4,fund,Fund\nXAU,959,,metal,Gold\n"
	got, err := read(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]string{0: {"JPY"}, 2: {"AAA", "ZZZ"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestRead_Refuses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]string{
		"NoDigits":     "AAA,001,,currency,A\n",
		"ManyDigits":   "AAA,001,5,currency,A\n",
		"Negative":     "AAA,001,-1,currency,A\n",
		"Twice":        "AAA,001,2,currency,A\nAAA,001,2,currency,A\n",
		"TwiceAsFund":  "AAA,001,2,currency,A\nAAA,001,2,fund,A\n",
		"MissingField": "AAA,001,2,currency\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := read(strings.NewReader("code,number,digits,kind,name\n" + row)); err == nil {
				t.Errorf("read = %v, want an error", got)
			}
		})
	}
}
