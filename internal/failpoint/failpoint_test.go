package failpoint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"example.com/payment/internal/failpoint"
)

// TestRelease_HasNone looks for the variable's name in the program that users run, and in one
// with failpoints, where it must be found.
func TestRelease_HasNone(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]bool{"": false, "failpoints": true} {
		path := filepath.Join(t.TempDir(), "payment-consumer")
		build := exec.Command("go", "build", "-tags", tags, "-o", path, "../../cmd/payment-consumer")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build -tags %q: %v\n%s", tags, err, out)
		}
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(program, []byte(failpoint.Variable)); got != want {
			t.Errorf("built with tags %q: knows %s: %t, want %t", tags, failpoint.Variable, got, want)
		}
	}
}
