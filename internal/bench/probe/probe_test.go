package probe

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLog: what one process notes another one reads, and half a line is no note.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	t.Setenv(Variable, path)
	log := FromEnv()
	first, second := time.Unix(1, 5), time.Unix(2, 0)
	log.Committed("PAY_1", first)
	log.Committed("PAY_2", second)
	log.Committed("PAY_1", second)
	log.flush()
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteString("PAY_3 300000")
	if err != nil || file.Close() != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Time{"PAY_1": first, "PAY_2": second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got (+), want (-):\n%s", diff)
	}
}

// TestLog_Off: without the variable nothing is written, and nothing is there to read.
func TestLog_Off(t *testing.T) {
	t.Setenv(Variable, "")
	FromEnv().Committed("PAY_1", time.Now())
	got, err := Read(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(got) != 0 {
		t.Errorf("read %v, %v; want nothing", got, err)
	}
}
