package devstack

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait; no test needs it unless it fails.
const patience = 2 * time.Minute

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// sleeper starts a program that ends only when it is told to.
func sleeper(t *testing.T) *process {
	t.Helper()
	p, err := program{
		path: "/bin/sleep", args: []string{"600"}, log: filepath.Join(t.TempDir(), "log"),
	}.start(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.kill(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestProcess_Kill(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	if !p.alive() || p.id.Started == "" {
		t.Fatalf("started as %+v, alive %v", p.id, p.alive())
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	if p.alive() {
		t.Error("alive after kill")
	}
	if err := p.kill(); err != nil {
		t.Errorf("a second kill: %v", err)
	}
}

func TestProcess_Wait(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.wait(ctx); err == nil {
		t.Error("wait for a living process returned nil")
	}
}

// The error of a program that does not end in order says what the program said.
func TestProcess_StopSaysWhy(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	script := `trap 'echo ending; echo cannot end in order; exit 3' TERM
echo up
while :; do sleep 0.05; done`
	started, err := program{path: "/bin/sh", args: []string{"-c", script}, log: log}.start(false)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{process: started, pages: newPages(log)}
	t.Cleanup(func() { _ = p.Kill() })
	if err := Until(bounded(t), "the program", patience, func() bool {
		return p.LastLine() == "up"
	}); err != nil {
		t.Fatal(err)
	}
	err = p.Stop(bounded(t))
	if want := "exit status 3; its last line: cannot end in order"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	adopted := adopt(p.id)
	if adopted == nil || !adopted.alive() {
		t.Fatal("a living process was not found")
	}
	if err := adopted.kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if adopt(p.id) != nil {
		t.Error("a process that has ended was found")
	}
}

// TestAdopt_OtherProcess: the number alone is not enough, nor is nothing.
func TestAdopt_OtherProcess(t *testing.T) {
	t.Parallel()
	p := sleeper(t)
	for name, id := range map[string]ProcessID{
		"RecycledNumber": {PID: p.id.PID, Started: p.id.Started + "1"},
		"NoStart":        {PID: p.id.PID},
		"NoNumber":       {Started: p.id.Started},
		"Group":          {PID: -1, Started: p.id.Started},
	} {
		if adopt(id) != nil {
			t.Errorf("%s: another process was taken for ours", name)
		}
	}
	if !p.alive() {
		t.Error("the process has ended")
	}
}

func TestProgram_Run(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	input := filepath.Join(dir, "input")
	if err := os.WriteFile(input, []byte("echo from input; echo $SET$UNSET"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := program{
		path: "/bin/sh", input: input, log: filepath.Join(dir, "log"),
		env: []string{"SET=yes"}, without: []string{"PATH"},
	}
	if err := run.run(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(run.log, 9); got != "from input\nyes" {
		t.Errorf("the log says %q", got)
	}
	run = program{path: "/bin/sh", args: []string{"-c", "echo why; exit 3"}, log: run.log}
	if err := run.run(bounded(t)); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("status 3: %v, want an error with the log's last line", err)
	}
}

func TestProgram_RunCalledOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	run := program{
		path: "/bin/sleep", args: []string{"600"}, log: filepath.Join(t.TempDir(), "log"),
	}
	if err := run.run(ctx); err == nil {
		t.Error("no error")
	}
}
