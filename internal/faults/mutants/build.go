package mutants

import (
	"context"
	"fmt"
	"path/filepath"

	"example.com/payment/internal/patched"
)

// consumer is the program that is changed.
const consumer = "example.com/payment/cmd/payment-consumer"

// Build makes the mutant's consumer, with failpoints, in a folder of its own, and returns the
// program's path. The sources under root stay as they are.
func (m Mutant) Build(ctx context.Context, root, folder string) (string, error) {
	program := filepath.Join(folder, "payment-consumer")
	return program, m.compile(ctx, root, folder, "-tags", "failpoints", "-o", program, consumer)
}

// compile runs go build over the changed sources.
func (m Mutant) compile(ctx context.Context, root, folder string, args ...string) error {
	if err := patched.Build(ctx, root, folder, m.Patch, args...); err != nil {
		return fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	return nil
}

// files are the files that the patch changes.
func (m Mutant) files() []string { return patched.Files(m.Patch) }
