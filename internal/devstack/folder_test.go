package devstack

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPickPorts(t *testing.T) {
	t.Parallel()
	p, err := pickPorts(ports{}, "")
	if err != nil {
		t.Fatal(err)
	}
	if !p.distinct() {
		t.Errorf("ports are not distinct: %+v", p)
	}
	for _, port := range p.all() {
		if port < firstPort-2 || port > lastPort {
			t.Errorf("port %d is outside of the range", port)
		}
	}
}

// TestPickPorts_Earlier keeps ports that are free and gives up those of which one is taken.
func TestPickPorts_Earlier(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", address(loopback, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	earlier := ports{NameServer: 19000, Broker: 19003, Replication: 19004, MySQL: 19005}
	earlier.Redis = taken.Addr().(*net.TCPAddr).Port
	p, err := pickPorts(earlier, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.NameServer == earlier.NameServer {
		t.Error("the ports were kept although one is taken")
	}
	p.Redis++ // any change makes it another set, which is free all the same
	if again, err := pickPorts(p, ""); err != nil || again != p {
		t.Errorf("free ports were not kept: %+v, %v", again, err)
	}
}

func TestWriteProperties(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "conf")
	err := writeProperties(path, []setting{{"a", `/home/josé/x\y`}, {"b", "🙂"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `a=/home/jos\u00e9/x\\y` + "\n" + `b=\ud83d\ude42` + "\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoadSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "secrets")
	first, err := loadSecrets(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := loadSecrets(dir)
	if err != nil || first != second {
		t.Errorf("the secrets have changed: %v", err)
	}
	if first.mysqlApp == first.mysqlRoot || len(first.cacheKey) != 64 {
		t.Error("the secrets are not random")
	}
	for _, path := range []string{dir, filepath.Join(dir, "redis")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if others := info.Mode().Perm() & 0o077; others != 0 {
			t.Errorf("%s can be read by others: %v", path, info.Mode())
		}
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if got := lastLines(path, 2); !strings.Contains(got, "no log") {
		t.Errorf("without a file: %q", got)
	}
	text := strings.Repeat("filler\n", tailBytes) + "one\n|-INFO in ch.qos.logback.x\n\ntwo\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lastLines(path, 2); got != "one\ntwo" {
		t.Errorf("got %q", got)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	unlock, err := Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(home); !errors.Is(err, errLocked) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	again, err := Lock(home)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// TestSweep: only what belongs to nobody is removed, and what it left running is ended.
func TestSweep(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	gone := ProcessID{PID: os.Getpid(), Started: "never"}
	left := sleeper(t)
	folder := func(name string, change func(*Stack)) string {
		s := &Stack{data: filepath.Join(tmp, "stack-"+name)}
		if err := os.Mkdir(s.data, 0o700); err != nil {
			t.Fatal(err)
		}
		change(s)
		return s.data
	}
	save := func(s *Stack, r record) {
		if err := writeRecord(s.data, r); err != nil {
			t.Fatal(err)
		}
	}
	mine := folder("mine", func(s *Stack) {
		if err := s.save(); err != nil {
			t.Fatal(err)
		}
	})
	abandoned := folder("abandoned", func(s *Stack) {
		save(s, record{Owner: gone, Proc: map[Server]ProcessID{Redis: left.id}})
	})
	kept := folder("kept", func(s *Stack) { save(s, record{Owner: gone, Keep: true}) })
	young := folder("young", func(*Stack) {})
	old := folder("old", func(s *Stack) {
		long := time.Now().Add(-2 * newFolderGrace)
		if err := os.Chtimes(s.data, long, long); err != nil {
			t.Fatal(err)
		}
	})

	sweep(tmp)

	for path, want := range map[string]bool{
		mine: true, abandoned: false, kept: true, young: true, old: false,
	} {
		if exists(path) != want {
			t.Errorf("%s: exists = %v, want %v", filepath.Base(path), !want, want)
		}
	}
	if err := left.wait(bounded(t)); err != nil {
		t.Errorf("a server of an abandoned stack still runs: %v", err)
	}
}
