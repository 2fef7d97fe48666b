package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// consumer is the program that is changed.
const consumer = "example.com/payment/cmd/payment-consumer"

// Build makes the mutant's consumer, with failpoints, in a folder of its own, and returns the
// program's path. The sources under root stay as they are: the changed files lie beside the
// program, and the compiler is told to read them instead.
func (m Mutant) Build(ctx context.Context, root, folder string) (string, error) {
	program := filepath.Join(folder, "payment-consumer")
	return program, m.compile(ctx, root, folder, "-tags", "failpoints", "-o", program, consumer)
}

// compile runs go build over the changed sources.
func (m Mutant) compile(ctx context.Context, root, folder string, args ...string) error {
	flags, err := m.apply(ctx, root, folder)
	if err != nil {
		return fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mutant %s: go build: %w\n%s", m.Name, err, out)
	}
	return nil
}

// apply copies the files that the patch changes, patches the copies, and returns the flags that
// put them in the place of the originals.
func (m Mutant) apply(ctx context.Context, root, folder string) (flags []string, err error) {
	sources := filepath.Join(folder, "_src") // which "./..." leaves out
	if err := os.RemoveAll(sources); err != nil {
		return nil, err
	}
	overlay := map[string]string{}
	for _, name := range m.files() {
		original, copied := filepath.Join(root, name), filepath.Join(sources, name)
		text, err := os.ReadFile(original)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(copied, text, 0o644); err != nil {
			return nil, err
		}
		switch name {
		case "go.mod":
			flags = append(flags, "-modfile="+copied) // and the go.sum beside it
		case "go.sum":
		default:
			overlay[original] = copied
		}
	}
	if len(overlay) > 0 {
		text, err := json.Marshal(map[string]any{"Replace": overlay})
		if err != nil {
			return nil, err
		}
		path := filepath.Join(folder, "overlay.json")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return nil, err
		}
		flags = append(flags, "-overlay="+path)
	}
	return flags, m.patch(ctx, sources)
}

// patch changes the copies. Git looks for no repository above them: in one it would only touch
// files that it keeps.
func (m Mutant) patch(ctx context.Context, sources string) error {
	if m.Patch == "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, "git", "apply", "--unidiff-zero", "-")
	cmd.Dir = sources
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(sources))
	cmd.Stdin = strings.NewReader(m.Patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git apply: %w\n%s", err, out)
	}
	return nil
}

// files are the files that the patch changes.
func (m Mutant) files() []string {
	var names []string
	for line := range strings.Lines(m.Patch) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "+++ b/"); found {
			names = append(names, name)
		}
	}
	return names
}
