package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a machine needs.
const (
	wantGoMinor     = 26
	wantJava        = 17
	wantMemory      = 1536 << 20
	wantDisk        = 2 << 30
	brokerDiskLimit = 90 // per cent; the broker refuses to store beyond it, and 100 cannot be set
	versionTimeout  = 30 * time.Second
	proxyLoopback   = "127.0.0.2"
)

// Status says what a check found.
type Status string

// The statuses of a check.
const (
	OK Status = "ok"
	// Warning: the stack starts, and something beside it does not work.
	Warning Status = "warning"
	// Missing: the stack does not start.
	Missing Status = "missing"
)

// Check is one finding about this machine.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	// Remedy is the one line that mends it.
	Remedy string `json:"remedy,omitempty"`
}

// Doctor examines whether a stack with these options can start on this machine.
func Doctor(ctx context.Context, opts Options) []Check {
	home, err := filepath.Abs(opts.Home)
	if err != nil {
		home = opts.Home
	}
	s := &Stack{opts: opts, files: filesAt(home)}
	checks := []Check{
		checkGo(ctx), s.checkJava(ctx), s.checkMaven(ctx), s.checkMySQL(ctx), s.checkRedis(ctx),
		checkMemory(), checkDisk(home), checkPorts(), checkLoopback(), checkCompiler(ctx),
	}
	return checks
}

// finding is a Check of the given name: ok when problem is nil.
func finding(name, found string, problem error, status Status, remedy string) Check {
	if problem == nil {
		return Check{Name: name, Status: OK, Found: found}
	}
	return Check{Name: name, Status: status, Found: problem.Error(), Remedy: remedy}
}

// versionOf runs a program and returns the first line that it says.
func versionOf(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	colours := regexp.MustCompile("\x1b\\[[0-9;]*m") // Maven prints them even when nobody looks
	line, _, _ := strings.Cut(strings.TrimSpace(colours.ReplaceAllString(string(out), "")), "\n")
	if err != nil {
		return "", fmt.Errorf("%s does not run: %w: %s", path, err, line)
	}
	return line, nil
}

// number returns the first match of a pattern's group, or 0.
func number(text, pattern string) int {
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		return 0
	}
	n, _ := strconv.Atoi(match[1])
	return n
}

func checkGo(ctx context.Context) Check {
	version, err := versionOf(ctx, "go", "version")
	if minor := number(version, `go1\.(\d+)`); err == nil && minor < wantGoMinor {
		err = fmt.Errorf("%s is older than go1.%d", version, wantGoMinor)
	}
	return finding("Go", version, err, Missing, "https://go.dev/dl")
}

func (s *Stack) checkJava(ctx context.Context) Check {
	if s.opts.External.rocketmqGiven() {
		return Check{Name: "JDK", Status: OK, Found: "not needed, the environment names a broker"}
	}
	path, err := javaPath()
	var version string
	if err == nil {
		version, err = versionOf(ctx, path, "-version")
	} else {
		err = errors.New("java is not on the PATH, nor in JAVA_HOME")
	}
	if err == nil && number(version, `"(\d+)`) < wantJava {
		err = fmt.Errorf("%s: %s is older than %d", path, version, wantJava)
	}
	if err != nil {
		return finding("JDK", "", err, Missing, remedyJava())
	}
	if _, err := exec.LookPath(filepath.Join(filepath.Dir(path), "javac")); err != nil {
		if _, err := exec.LookPath("javac"); err != nil {
			return finding("JDK", "", fmt.Errorf("%s is without a compiler (javac), which the test "+
				"with the official Java client needs", version), Warning, remedyJava())
		}
	}
	return Check{Name: "JDK", Status: OK, Found: version}
}

func (s *Stack) checkMaven(ctx context.Context) Check {
	if s.files.present() {
		return Check{Name: "Maven", Status: OK, Found: "not needed, " + s.files.dir + " is complete"}
	}
	if !s.files.needed(s.opts.External) {
		return Check{Name: "Maven", Status: OK, Found: "not needed, every server is there"}
	}
	path, err := exec.LookPath("mvn")
	if err != nil {
		err := errors.New("mvn is not on the PATH; it brings the servers' files")
		return finding("Maven", "", err, Missing, remedyMaven())
	}
	version, err := versionOf(ctx, path, "-B", "-version")
	return finding("Maven", version, err, Missing, remedyMaven())
}

// checkMySQL looks for the program; it runs it if it is there, because one that was built for
// another C library is there and does not run.
func (s *Stack) checkMySQL(ctx context.Context) Check {
	const name = "MariaDB"
	programs, err := s.mysqlPrograms(ctx)
	if s.opts.External.mysqlGiven() {
		programs.server, err = s.mysqlClient() // all that is needed is a client
	}
	if err == nil {
		version, err := versionOf(ctx, programs.server, "--no-defaults", "--version")
		_, version, _ = strings.Cut(version, "Ver ") // the path comes first
		return finding(name, version, err, Missing, remedyMySQL()+"; Maven's needs glibc")
	}
	if !errors.Is(err, errNoMySQL) {
		return finding(name, "", err, Missing, "mend it or take it off the PATH")
	}
	switch system := runtime.GOOS + "/" + runtime.GOARCH; {
	case s.files.present(), system != "linux/amd64" && system != "darwin/arm64":
		err = fmt.Errorf("not on the PATH, and Maven has none for %s", system)
	case runtime.GOOS == "linux" && !exists("/lib64/ld-linux-x86-64.so.2"):
		err = errors.New("not on the PATH, and Maven's needs glibc, which this system is without")
	default:
		return Check{Name: name, Status: OK, Found: "comes with Maven"}
	}
	return finding(name, "", err, Missing, remedyMySQL())
}

func (s *Stack) checkRedis(ctx context.Context) Check {
	const name = "Redis"
	if s.opts.External.redisGiven() {
		return Check{Name: name, Status: OK, Found: "the environment names one"}
	}
	path, err := s.redisProgram()
	if err != nil && !s.files.present() && (runtime.GOOS == "linux" || runtime.GOOS == "darwin") {
		return Check{Name: name, Status: OK, Found: "comes with Maven"}
	}
	var version string
	if err == nil {
		version, err = versionOf(ctx, path, "--version")
	}
	return finding(name, version, err, Missing, remedyRedis())
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func checkMemory() Check {
	free, err := availableMemory()
	if err != nil {
		return finding("memory", "", err, Warning, "")
	}
	found := fmt.Sprintf("%.1f GiB available", gib(free))
	if free < wantMemory {
		err = fmt.Errorf("%s, the servers need %.1f", found, gib(wantMemory))
	}
	return finding("memory", found, err, Missing, "close other programs, or give the machine more")
}

func gib(bytes uint64) float64 { return float64(bytes) / (1 << 30) }

// checkDisk looks at the disk under home, or under the nearest folder above that exists.
func checkDisk(home string) Check {
	for !exists(home) && home != filepath.Dir(home) {
		home = filepath.Dir(home)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(home, &disk); err != nil {
		return finding("disk", "", err, Warning, "")
	}
	free := disk.Bavail * uint64(disk.Bsize)
	used := 100 - 100*disk.Bavail/max(1, disk.Blocks-disk.Bfree+disk.Bavail)
	found := fmt.Sprintf("%.0f GiB free under %s, %d %% used", gib(free), home, used)
	var err error
	if free < wantDisk || used >= brokerDiskLimit {
		err = fmt.Errorf("%s; needed are %.0f GiB, and RocketMQ stores nothing from %d %% on",
			found, gib(wantDisk), brokerDiskLimit)
	}
	return finding("disk", found, err, Missing, "free some space, or set PAYMENT_LAB_HOME to a "+
		"folder on another disk")
}

func checkPorts() Check {
	_, err := pickPorts(ports{}, "")
	return finding("ports", fmt.Sprintf("free ones on %s", loopback), err, Missing,
		"end programs that listen on ports from 20000 to 30000")
}

func checkLoopback() Check {
	var err error
	if !portFree(proxyLoopback, 0) {
		err = errors.New(proxyLoopback + " is not an address of this machine; the demo's proxy uses it")
	}
	return finding("loopback", proxyLoopback+" can be used", err, Missing,
		remedyLoopback(proxyLoopback))
}

func checkCompiler(ctx context.Context) Check {
	const name = "C compiler"
	for _, compiler := range []string{"gcc", "cc", "clang"} {
		if version, err := versionOf(ctx, compiler, "--version"); err == nil {
			return Check{Name: name, Status: OK, Found: version}
		}
	}
	return finding(name, "", errors.New("none; the race detector of make test needs one"), Warning,
		remedy("gcc libc6-dev", "gcc"))
}
