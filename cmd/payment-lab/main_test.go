package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/payment/internal/devstack"
	"example.com/payment/internal/faults"
)

// patience bounds every wait; no test needs it unless it fails.
const patience = 5 * time.Minute

// TestMain lets the test's own program be payment-lab, so that tests can signal and kill it.
func TestMain(m *testing.M) {
	if os.Getenv("PAYMENT_LAB_AS_MAIN") == "1" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

// labRun is one run of payment-lab as a process of its own.
type labRun struct {
	cmd    *exec.Cmd
	out    *bytes.Buffer
	ctx    context.Context
	exited chan error
}

func startLab(t *testing.T, home string, args ...string) *labRun {
	t.Helper()
	return startLabFor(t, patience, home, args...)
}

// startLabFor is startLab with a patience of its own.
func startLabFor(
	t *testing.T, patience time.Duration, home string, args ...string,
) *labRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r := &labRun{out: new(bytes.Buffer), ctx: ctx, exited: make(chan error, 1)}
	r.cmd = exec.CommandContext(ctx, os.Args[0], append([]string{"--home", home}, args...)...)
	// Its exit status is its own, also when the race detector has something to say of the client.
	r.cmd.Env = append(os.Environ(), "PAYMENT_LAB_AS_MAIN=1", "GORACE=exitcode=0")
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	r.cmd.WaitDelay = time.Minute
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.exited <- r.cmd.Wait() }()
	return r
}

// status waits for the end and returns the exit status, -1 after a signal.
func (r *labRun) status(t *testing.T) int {
	t.Helper()
	err := <-r.exited
	if r.ctx.Err() != nil {
		t.Fatalf("payment-lab did not end; it said:\n%s", r.out)
	}
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	for _, race := range faults.OwnRaces(r.out.String()) {
		t.Errorf("a data race: %s", race)
	}
	return r.cmd.ProcessState.ExitCode()
}

// lab runs payment-lab to its end and returns what it said.
func runLab(t *testing.T, home string, want int, args ...string) string {
	t.Helper()
	r := startLab(t, home, args...)
	if got := r.status(t); got != want {
		t.Fatalf("%q ended with status %d, want %d; it said:\n%s", args, got, want, r.out)
	}
	return r.out.String()
}

// newHome is an empty home that shares the servers' files with the run's own.
func newHome(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("PAYMENT_LAB_HOME")
	if shared == "" {
		const message = "PAYMENT_LAB_HOME is not set: needs the servers' files"
		if os.Getenv("PAYMENT_TEST_REQUIRE") == "1" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	home := t.TempDir()
	if err := os.Symlink(filepath.Join(shared, "servers"), filepath.Join(home, "servers")); err != nil {
		t.Fatal(err)
	}
	return home
}

// leftovers returns the command lines of processes that were started for a home, except those
// of payment-lab itself.
func leftovers(t *testing.T, home string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(paths) == 0 {
		t.Skip("this system has no /proc to look for processes in")
	}
	var found []string
	for _, path := range paths {
		line, _ := os.ReadFile(path) // it may have ended meanwhile
		if strings.Contains(string(line), home) && !strings.HasPrefix(string(line), os.Args[0]) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// eventually waits for a condition, whose last reason the test fails with.
func eventually(t *testing.T, condition func() (reason string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		reason := condition()
		if reason == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(reason)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func wantNothingLeft(t *testing.T, home string) {
	t.Helper()
	eventually(t, func() string { return strings.Join(leftovers(t, home), "\n") })
}

func TestLab_UpDown(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	if out := runLab(t, home, 0, "down"); !strings.Contains(out, "nothing is running") {
		t.Errorf("down before up said:\n%s", out)
	}
	out := runLab(t, home, 0, "up")
	t.Cleanup(func() { runLab(t, home, 0, "down") })
	first := leftovers(t, home)
	if len(first) != 4 || !strings.Contains(out, "make down") {
		t.Errorf("after up these run: %q; it said:\n%s", first, out)
	}
	env := wantPrivate(t, filepath.Join(home, "env"))

	if out := runLab(t, home, 0, "up"); !strings.Contains(out, "already running") {
		t.Errorf("a second up said:\n%s", out)
	}
	killOne(t, home)
	if out := runLab(t, home, 0, "up"); strings.Contains(out, "already") {
		t.Errorf("up after a server's death said:\n%s", out)
	}
	// An address may be another one: its port was free for a while, for anybody to take.
	if again := wantPrivate(t, filepath.Join(home, "env")); secrets(again) != secrets(env) {
		t.Error("passwords or keys have changed over a restart")
	}
	runLab(t, home, 0, "up", "--fresh")
	if again := wantPrivate(t, filepath.Join(home, "env")); secrets(again) == secrets(env) {
		t.Error("--fresh has kept the passwords, and so the data")
	}
	// Also when the programs have gone from the machine, or have another version now.
	if err := os.Remove(filepath.Join(home, "servers")); err != nil {
		t.Fatal(err)
	}
	if out := runLab(t, home, 0, "down"); strings.Count(out, "ended") != 4 {
		t.Errorf("down said:\n%s", out)
	}
	wantNothingLeft(t, home)
}

// killOne leaves a background stack without one of its servers.
func killOne(t *testing.T, home string) {
	t.Helper()
	stack, err := devstack.Find(devstack.Options{Home: home})
	if err != nil || stack == nil {
		t.Fatalf("the background stack was not found: %v", err)
	}
	if err := stack.Kill(devstack.Redis); err != nil {
		t.Fatal(err)
	}
}

func wantPrivate(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// secrets are the lines of an environment that hold some.
func secrets(env string) string {
	var lines []string
	for line := range strings.Lines(env) {
		if strings.Contains(line, "PASSWORD=") || strings.Contains(line, "KEYS=") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestLab_Exec(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	out := runLab(t, home, 7, "exec", "--", "sh", "-c",
		"echo required=$PAYMENT_TEST_REQUIRE; sh -c 'while :; do sleep 1; done' "+home+" >/dev/null 2>&1 & exit 7")
	if !strings.Contains(out, "required=1") {
		t.Errorf("exec said:\n%s", out)
	}
	wantNothingLeft(t, home)
	if folders, _ := filepath.Glob(filepath.Join(home, "tmp", "*")); len(folders) > 0 {
		t.Errorf("folders are left: %v", folders)
	}
	if out := runLab(t, home, 1, "exec", "--", "no-such-program"); !strings.Contains(out, "no-such") {
		t.Errorf("exec of nothing said:\n%s", out)
	}
}

// TestLab_Signals: whatever ends payment-lab, and whenever, nothing is left of its stack.
func TestLab_Signals(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	cases := []struct {
		name    string
		signals []os.Signal
		running int // how many of the stack's processes are awaited before the first signal
		status  int
	}{
		{"InterruptEarly", []os.Signal{os.Interrupt}, 1, statusInterrupted},
		{"InterruptStarted", []os.Signal{os.Interrupt}, 4, statusInterrupted},
		{"InterruptReady", []os.Signal{os.Interrupt}, 5, statusInterrupted},
		{"Twice", []os.Signal{os.Interrupt, os.Interrupt}, 4, statusInterrupted},
		{"Terminate", []os.Signal{syscall.SIGTERM}, 2, statusInterrupted},
		{"Kill", []os.Signal{os.Kill}, 3, -1},
		{"KillReady", []os.Signal{os.Kill}, 5, -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// The fifth process; the home among its words makes it one of those that are counted.
			r := startLab(t, home, "exec", "--", "tail", "-f", filepath.Join(home, "servers", "lock"))
			eventually(t, func() string {
				if found := leftovers(t, home); len(found) < c.running {
					return "too few processes: " + strings.Join(found, "\n")
				}
				return ""
			})
			for i, sig := range c.signals {
				err := r.cmd.Process.Signal(sig)
				if err != nil && (i == 0 || !errors.Is(err, os.ErrProcessDone)) {
					t.Fatal(err)
				}
			}
			if got := r.status(t); got != c.status {
				t.Errorf("status %d, want %d; it said:\n%s", got, c.status, r.out)
			}
			wantNothingLeft(t, home)
		})
	}
}

func TestLab_Doctor(t *testing.T) {
	t.Parallel()
	var checks []devstack.Check
	r := startLab(t, t.TempDir(), "doctor", "-o", "json")
	status := r.status(t)
	if err := json.NewDecoder(r.out).Decode(&checks); err != nil || len(checks) < 8 {
		t.Fatalf("%d checks, %v, status %d", len(checks), err, status)
	}
	if out := runLab(t, t.TempDir(), 1, "doctor", "-o", "xml"); !strings.Contains(out, "--output") {
		t.Errorf("an unknown output said:\n%s", out)
	}
}
