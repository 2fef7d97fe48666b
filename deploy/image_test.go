package deploy_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The final stages of the Dockerfile run as a number, as Kubernetes wants it, and without a shell.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, final, _ := strings.Cut(string(text), "\nFROM gcr.io/distroless/static-")
	for _, line := range []string{
		"\nUSER 65532:65532\n",
		"\nFROM base AS payment-consumer\n",
		"\nENTRYPOINT [\"/usr/local/bin/payment-consumer\"]\n",
		"\nFROM base AS order-producer\n",
		"\nENTRYPOINT [\"/usr/local/bin/order-producer\"]\n",
	} {
		if !strings.Contains(final, line) {
			t.Errorf("the last stages lack %q", line)
		}
	}
	if strings.Count(final, "USER") != 1 || strings.Contains(final, "RUN") {
		t.Error("the last stages change the user or run a program")
	}
}

// inRoot gives a program a root of its own, which it cannot write, and takes every right away. The
// mounts end with the process.
const inRoot = `set -e
root=$1
shift
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid,nodev "$root"
if touch "$root/file" 2>&-; then echo 'the root can be written'; exit 99; fi
exec chroot --userspec=65532:65532 --groups= "$root" "$@"`

// image is a folder with what the images hold, and what a container mounts into them.
type image struct{ root string }

// newImage builds our programs as the Dockerfile does. There is no shell beside them, no /tmp, no
// home, no /etc/passwd and no /proc.
func newImage(t *testing.T) image {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root: mounts and changes users")
	}
	i := image{root: t.TempDir()}
	mounts := exec.CommandContext(t.Context(), "unshare", "--mount", "mount", "--bind", i.root, i.root)
	if output, err := mounts.CombinedOutput(); err != nil {
		t.Skipf("no mounts here: %v, %s", err, output)
	}
	bin := filepath.Join(i.root, "usr/local/bin")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin+"/",
		"../cmd/payment-consumer", "../cmd/order-producer")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	settings, err := os.ReadFile("../configs/payment-consumer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"etc/ssl/certs/ca-certificates.crt": "",
		"etc/payment/payment-consumer.yaml": string(settings),
		"run/secrets/mysql-app":             "secret",
		"run/secrets/cache-keys":            "k1:" + strings.Repeat("5a", 32),
	} {
		path := filepath.Join(i.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		// As a secret is mounted: root's, and readable for the group of the program.
		if err := errors.Join(os.WriteFile(path, []byte(content), 0o440),
			os.Chown(path, 0, 65532)); err != nil {
			t.Fatal(err)
		}
	}
	// t.TempDir is for us alone, and the program is somebody else.
	for dir := i.root; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func (i image) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"--mount", "--propagation", "private", "sh", "-c", inRoot, "sh",
		i.root}, args...)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = []string{ // nothing of ours, and no server where they look for one
		"PAYMENT_LOG_LEVEL=error", "PAYMENT_OPS_ADDRESS=127.0.0.1:0",
		"PAYMENT_MYSQL_ADDRESS=127.0.0.1:1", "PAYMENT_REDIS_ADDRESS=127.0.0.1:1",
		"PAYMENT_ROCKETMQ_NAME_SERVERS=127.0.0.1:1", "PAYMENT_ROCKETMQ_START_ATTEMPTS=1",
		"PAYMENT_MYSQL_PASSWORD_FILE=/run/secrets/mysql-app",
		"PAYMENT_CACHE_KEYS_FILE=/run/secrets/cache-keys",
	}
	return cmd
}

// TestImage runs the programs where they find what an image holds and nothing else. What they say
// must be about what was asked of them, and never that a file, a home or /tmp is missing.
func TestImage(t *testing.T) {
	t.Parallel()
	i := newImage(t)
	const consumer, producer = "/usr/local/bin/payment-consumer", "/usr/local/bin/order-producer"
	const settings = "--config=/etc/payment/payment-consumer.yaml"
	send := []string{producer, "send", "--payer", "user-1", "--payee", "shop-1", "--amount", "1"}
	for _, test := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"Version", []string{consumer, "--version"}, 0, "payment-consumer "},
		{"ProducerVersion", []string{producer, "--version"}, 0, "order-producer "},
		{"Settings", []string{consumer, settings, "config", "print"}, 0, "[redacted]"},
		{"Start", []string{consumer, settings}, 1, "payment-consumer: gave up after 1 attempts"},
		{"Healthy", []string{consumer, settings, "healthy", "--ops-address", "127.0.0.1:1"}, 1,
			"payment-consumer: no answer from http://127.0.0.1:1"},
		{"Migrate", []string{consumer, settings, "migrate"}, 2,
			"payment-consumer: migrate.password"},
		{"Send", send, 1, "order-producer: no name server answers"},
		{"Shell", []string{"/bin/sh"}, 127, "No such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			cmd := i.command(t, test.args...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != test.status {
				t.Errorf("exit status %d, want %d (%v)", got, test.status, err)
			}
			if !strings.Contains(stdout.String()+stderr.String(), test.says) {
				t.Errorf("printed %q and %q, want %q", stdout.String(), stderr.String(), test.says)
			}
			lines := strings.Count(stderr.String(), "\n")
			if lines != 0 && test.status == 0 || lines != 1 && test.status != 0 {
				t.Errorf("want one line where it failed and none else: %q", stderr.String())
			}
		})
	}
	for _, program := range []string{consumer, producer} {
		file, err := elf.Open(filepath.Join(i.root, program))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s asks for a C library, which the image has not", program)
		}
		_ = file.Close()
	}
}
