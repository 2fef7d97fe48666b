package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// notices runs the script on packages of this module.
func notices(t *testing.T, packages ...string) (text, problem string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"notices.sh"}, packages...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// TestNotices_OfEveryModule: all that go.mod brings into a program has a text, and so has code
// that a module holds of others.
func TestNotices_OfEveryModule(t *testing.T) {
	t.Parallel()
	text, problem, err := notices(t, "./cmd/payment-consumer", "./cmd/order-producer")
	if err != nil {
		t.Fatalf("%v: %s", err, problem)
	}
	used, err := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}",
		"../cmd/payment-consumer", "../cmd/order-producer").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(used))
	if len(modules) == 0 {
		t.Fatal("the programs use no module")
	}
	for _, module := range modules {
		if !strings.Contains(text, "\n==== "+module+"\n==== ") {
			t.Errorf("no licence of %s", module)
		}
	}
	for _, want := range []string{
		"The Go Authors",            // of Go itself
		"\n==== NOTICE\n",           // which the Apache License asks for
		"Mozilla Public License",    // of the database driver, whose source must be named
		"go mod download",           // where that is
		"==== internal/github.com/", // code of others in a module
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the notices lack %q", want)
		}
	}
}

// TestNotices_NoLicence: what nobody has given leave to pass on ends a release.
func TestNotices_NoLicence(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":   "module a\ngo 1.26\nrequire b v1.0.0\nreplace b => ./b\n",
		"a.go":     "package a\nimport _ \"b\"\n",
		"b/go.mod": "module b\ngo 1.26\n", "b/b.go": "package b\n",
		"b/license.go": "package b\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile("notices.sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "deploy"), 0o755); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(folder, "deploy/notices.sh")
	if err := os.WriteFile(copied, script, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "sh", copied, ".").CombinedOutput()
	if err == nil || string(output) != "notices: b@v1.0.0 has no licence text\n" {
		t.Errorf("%v, %q", err, output)
	}
}
