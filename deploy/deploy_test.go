// Package deploy_test tries the scripts and lists of this folder, and what an image would hold,
// without any container.
package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/devstack"
)

// patience bounds every wait. It is long because the machine may be busy.
const patience = 3 * time.Minute

// The containers must have the topics that the tests and the demo run with.
func TestTopics_LikeDevstack(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("topics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got []devstack.Topic
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(words) != 2 {
			t.Fatalf("topics.txt: %q is not a topic and its number of queues", line)
		}
		queues, err := strconv.Atoi(words[1])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, devstack.Topic{Name: words[0], Queues: queues})
	}
	if diff := cmp.Diff(devstack.Topics(), got); diff != "" {
		t.Errorf("topics.txt (-devstack +topics.txt):\n%s", diff)
	}
}

// fakeAdmin stands for mqadmin: it keeps topics in a file, fails as often as the file "failures"
// has lines, always ends with status 0, writes down what it was asked, and gives the topic LIAR one
// queue, however many it is asked for.
const fakeAdmin = `
cd "$(dirname "$0")"
echo "$1" >>calls
if [ -s failures ]; then sed -i 1d failures; echo "connect to namesrv:9876 failed"; exit 0; fi
case $1 in
topicList) sed 's/ .*//' topics ;;
updateTopicList) tr -d '[]{}",' <"$7" |
	sed -n 's/topicName:\(.*\)readQueueNums:.*writeQueueNums:\([0-9]*\)perm.*/\1 \2/p' |
	sed 's/^LIAR .*/LIAR 1/' >>topics ;;
topicRoute) sed -n "s/^$5 \(.*\)/\"writeQueueNums\":\1/p" topics ;;
esac
`

// admin is a run of topics.sh with fakeAdmin.
type admin struct{ dir string }

func newAdmin(t *testing.T, topics string, failures int) admin {
	t.Helper()
	a := admin{dir: t.TempDir()}
	for name, content := range map[string]string{
		"mqadmin": fakeAdmin, "topics": topics, "failures": strings.Repeat("once\n", failures),
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a admin) run(t *testing.T, list string) (output string, err error) {
	t.Helper()
	file := filepath.Join(a.dir, "list")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "topics.sh", "namesrv:9876", "broker:10911", file)
	cmd.Env = append(os.Environ(), "MQADMIN="+filepath.Join(a.dir, "mqadmin"), "PAUSE=0",
		"ATTEMPTS=5")
	text, err := cmd.CombinedOutput()
	return string(text), err
}

func (a admin) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const wanted = "# a comment\n\nORDER_PAYMENT 8\n%RETRY%payment-consumer 1\n"

func TestTopicsScript_CreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	// The name server is not there for the first two questions; a topic has other queues.
	a := newAdmin(t, "SELF_TEST_TOPIC 1\nORDER_PAYMENT 16\n", 2)
	output, err := a.run(t, wanted)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	want := "SELF_TEST_TOPIC 1\nORDER_PAYMENT 16\n%RETRY%payment-consumer 1\n"
	if diff := cmp.Diff(want, a.read(t, "topics")); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
}

func TestTopicsScript_LeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	a := newAdmin(t, "SELF_TEST_TOPIC 1\nORDER_PAYMENT 8\n%RETRY%payment-consumer 1\n", 0)
	output, err := a.run(t, wanted)
	if err != nil || !strings.Contains(output, "all 2 topics are there") {
		t.Errorf("%v\n%s", err, output)
	}
	if diff := cmp.Diff("topicList\n", a.read(t, "calls")); diff != "" {
		t.Errorf("calls of mqadmin (-want +got):\n%s", diff)
	}
}

func TestTopicsScript_Fails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, list, want string
		failures, status int
	}{
		{"NoBroker", wanted, "attempts; mqadmin said:\nconnect to namesrv:9876 failed", 99, 1},
		{"WrongQueues", "LIAR 8\n", "LIAR: its route has not 8 queues", 0, 1},
		{"NoQueues", "ORDER_PAYMENT\n", "each line must be", 0, 2},
		{"ZeroQueues", "ORDER_PAYMENT 0\n", "each line must be", 0, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			output, err := newAdmin(t, "SELF_TEST_TOPIC 1\n", test.failures).run(t, test.list)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != test.status ||
				!strings.Contains(output, test.want) {
				t.Errorf("got %v, %q; want status %d and %q", err, output, test.status, test.want)
			}
		})
	}
}

// A server of RocketMQ sits behind scripts that do not pass signals on.
func TestRocketMQScript_StopsInOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, before string }{
		{"Fast", ""},
		// The server is up, and told to end, before the script has taken its next step.
		{"Slow", "trap 'sleep 0.1' DEBUG"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testStopsInOrder(t, test.before)
		})
	}
}

// testStopsInOrder stops the script; bash runs the lines of before in front of it.
func testStopsInOrder(t *testing.T, before string) {
	t.Helper()
	dir := t.TempDir()
	env := filepath.Join(dir, "before")
	if err := os.WriteFile(env, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	server := `trap 'sleep 0.3; echo in order >` + dir + `/end; exit 0' TERM
		echo ready; while :; do sleep 0.1; done`
	cmd := exec.CommandContext(t.Context(), "bash", "rocketmq.sh",
		"sh", "-c", `sh -c "$0"; true`, server)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "BASH_ENV="+env)
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the server did not start: %q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the script hides that a signal ended it")
	}
	end, err := os.ReadFile(filepath.Join(dir, "end"))
	if err != nil || string(end) != "in order\n" {
		t.Errorf("the server was not let end in order: %q, %v", end, err)
	}
}

func TestRocketMQScript_ReportsFailure(t *testing.T) {
	t.Parallel()
	err := exec.CommandContext(t.Context(), "bash", "rocketmq.sh", "sh", "-c", "exit 7").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v, want status 7", err)
	}
}

// Giving files away needs root, as which the script runs in its container.
func TestPrepareScript(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not root: prepare.sh changes owners")
	}
	dir := t.TempDir()
	volumes := []string{"secrets", "secrets-mysql", "secrets-redis", "secrets-migrate",
		"secrets-consumer", "secrets-archive", "broker-data"}
	for _, volume := range volumes {
		if err := os.Mkdir(filepath.Join(dir, volume), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	first := prepare(t, dir)
	if diff := cmp.Diff(first, prepare(t, dir)); diff != "" {
		t.Errorf("the second run changed (-first +second):\n%s", diff)
	}
	for file, want := range map[string]owned{
		"secrets-mysql/mysql-app":       {999, 0o400, first["secrets/mysql-app"].Text},
		"secrets-consumer/mysql-app":    {65532, 0o400, first["secrets/mysql-app"].Text},
		"secrets-consumer/cache-keys":   {65532, 0o400, first["secrets/cache-keys"].Text},
		"secrets-migrate/mysql-migrate": {65532, 0o400, first["secrets/mysql-migrate"].Text},
		"secrets-redis/redis.conf": {999, 0o400, "user default off\nuser payment on >" +
			first["secrets/redis"].Text + " " + redisRights(t)},
		"secrets/mysql-root":             {0, 0o600, first["secrets-mysql/mysql-root"].Text},
		"secrets-consumer/mysql-migrate": {},
		"secrets-consumer/mysql-root":    {},
		"secrets-migrate/mysql-root":     {},
		"secrets-archive/mysql-archive":  {65532, 0o400, first["secrets/mysql-archive"].Text},
		"secrets-archive/mysql-app":      {},
		"secrets-consumer/mysql-archive": {},
		"secrets-mysql/mysql-migrate":    {999, 0o400, first["secrets/mysql-migrate"].Text},
		"secrets-mysql/cache-keys":       {},
		"secrets-redis/mysql-app":        {},
		"secrets-consumer/redis.conf":    {},
		"secrets-consumer/redis":         {65532, 0o400, first["secrets/redis"].Text},
	} {
		if diff := cmp.Diff(want, first[file]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	if a, b := first["secrets/mysql-app"].Text, first["secrets/mysql-migrate"].Text; a == b {
		t.Errorf("two secrets are both %q", a)
	}
}

// redisRights is what the cache's user may do, which a test of internal/redis tries on a server.
func redisRights(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("redis-rights.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// What operators are told to give is what is tried.
func TestRedisRights_AreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "ACL SETUSER payment on >SECRET " + redisRights(t) + "\n"
	if !strings.Contains(string(text), want) {
		t.Errorf("SECURITY.md does not say %q", want)
	}
}

// owned is a file as it was found.
type owned struct {
	Owner uint32
	Mode  os.FileMode
	Text  string
}

// prepare runs the script and reads every file.
func prepare(t *testing.T, dir string) map[string]owned {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "prepare.sh", dir)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	found := map[string]owned{}
	files, err := filepath.Glob(filepath.Join(dir, "secrets*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = owned{
			Owner: info.Sys().(*syscall.Stat_t).Uid, Mode: info.Mode(),
			Text: string(bytes.TrimSpace(text)),
		}
	}
	return found
}

// What is promised of the broker is in its file, and not only in the servers of the tests.
func TestBrokerConf(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../configs/broker.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"maxMessageSize=1048576", "flushDiskType=SYNC_FLUSH", "autoCreateTopicEnable=false",
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("configs/broker.conf lacks %s", line)
		}
	}
}
