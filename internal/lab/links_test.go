package lab

import (
	"os/exec"
	"strings"
	"testing"
)

// Production programs contain neither the lab nor what starts and kills servers.
func TestProduction_HasNoLab(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"example.com/payment/cmd/payment-consumer", "example.com/payment/cmd/order-producer").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 50 {
		t.Fatalf("only %d packages: %q", len(packages), out)
	}
	for _, name := range packages {
		for _, never := range []string{"internal/devstack", "internal/lab", "internal/faults"} {
			if strings.Contains(name, never) {
				t.Errorf("a production program contains %s", name)
			}
		}
	}
}
