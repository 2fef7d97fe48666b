package bench

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMeasure makes a small measurement of some lanes on real servers: whoever measures for an hour
// should not find at its end that nothing came out.
func TestMeasure(t *testing.T) {
	home := os.Getenv("PAYMENT_LAB_HOME")
	if home == "" {
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal("PAYMENT_LAB_HOME is not set and PAYMENT_TEST_REQUIRE is 1")
		}
		t.Skip("needs servers of its own: run make test")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	lab := filepath.Join(folder, "payment-lab")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", lab, "../../cmd/payment-lab")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	lanes := []string{"new:drop", "new:textbook", "new:service", "new:service-traced",
		"dup-warm:service-noresults"}
	result, err := Measure(t.Context(), Config{
		Home: home, Root: root, Self: lab, Folder: filepath.Join(folder, "bench"), Out: io.Discard,
		Plan: Plan{
			// So many that the fastest lane is seen at work more than once.
			Rounds: 1, Time: 10 * time.Second, Backlog: 30_000, Repeats: 30_000, Only: lanes,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Lanes) != len(lanes) {
		t.Fatalf("%d lanes, want %d", len(result.Lanes), len(lanes))
	}
	for _, l := range result.Lanes {
		if l.Median <= 0 || l.Per10000[ours].CPUSeconds <= 0 || l.Per10000["broker"].CPUSeconds <= 0 {
			t.Errorf("%s:%s: %.0f/s, usage of 10,000: %+v", l.Workload, l.Variant, l.Median, l.Per10000)
		}
	}
}
