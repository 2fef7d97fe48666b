// Package patched builds one of the project's programs from sources that a patch changes, and
// leaves the sources as they are: the changed files lie beside the program, and the compiler is
// told to read them instead. So a measurement or a deliberate mistake needs no switch in the
// program itself. It needs the Go toolchain, git and the sources.
package patched

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build runs go build with args over the sources below root as the patch changes them. The folder
// is the caller's alone, and gets the changed files. An empty patch changes nothing.
func Build(ctx context.Context, root, folder, patch string, args ...string) error {
	flags, err := apply(ctx, root, folder, patch)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags...), args...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Files are the names of the files that a patch changes, as they are written in it.
func Files(patch string) []string {
	var names []string
	for line := range strings.Lines(patch) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "+++ b/"); found {
			names = append(names, name)
		}
	}
	return names
}

// apply copies the files that the patch changes, patches the copies, and returns the flags that
// put them in the place of the originals.
func apply(ctx context.Context, root, folder, patch string) (flags []string, err error) {
	sources := filepath.Join(folder, "_src") // which "./..." leaves out
	if err := os.RemoveAll(sources); err != nil {
		return nil, err
	}
	overlay := map[string]string{}
	for _, name := range Files(patch) {
		original, copied := filepath.Join(root, name), filepath.Join(sources, name)
		if err := copyFile(original, copied); err != nil {
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
		path := filepath.Join(folder, "overlay.json")
		if err := writeOverlay(path, overlay); err != nil {
			return nil, err
		}
		flags = append(flags, "-overlay="+path)
	}
	return flags, change(ctx, sources, patch)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func writeOverlay(path string, overlay map[string]string) error {
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// change applies the patch to the copies. Git looks for no repository above them: in one it would
// only touch files that it keeps.
func change(ctx context.Context, sources, patch string) error {
	if patch == "" {
		return nil
	}
	cmd := exec.CommandContext(ctx, "git", "apply", "--unidiff-zero", "-")
	cmd.Dir = sources
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(sources))
	cmd.Stdin = strings.NewReader(patch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git apply: %w\n%s", err, out)
	}
	return nil
}
