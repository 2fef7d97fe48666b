package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A run without the database must not look like one that found nothing, nor hide what one found.
func TestVulncheckScript(t *testing.T) {
	t.Parallel()
	const unreachable = "echo 'govulncheck: fetching vulnerabilities: no such host' >&2; exit 1"
	for _, test := range []struct {
		name, says, required string
		status               int
		skipped              bool
	}{
		{"Clean", "echo 'No vulnerabilities found.'", "", 0, false},
		{"Found", "echo 'Vulnerability #1'; exit 3", "", 3, false},
		{"Broken", "echo 'govulncheck: no go.mod file' >&2; exit 1", "", 1, false},
		{"Unreachable", unreachable, "", 0, true},
		{"UnreachableAndRequired", unreachable, "required", 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fake := filepath.Join(t.TempDir(), "govulncheck")
			if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+test.says), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "bash", "vulncheck.sh", fake, test.required)
			output, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != test.status ||
				strings.Contains(string(output), "SKIPPED") != test.skipped {
				t.Errorf("status %d and %q", got, output)
			}
		})
	}
}
