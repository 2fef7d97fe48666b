package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// key32 is a key that the cache would take.
var key32 = "k1:" + strings.Repeat("0f", 32)

// writeFile writes a file that only we can read, and gives its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parseFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddConsumerFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

// problems are the lines of an error, without the folder of the file.
func problems(t *testing.T, in Input, needs ...Part) []string {
	t.Helper()
	_, err := LoadConsumer(in, needs...)
	if err == nil {
		return nil
	}
	var all *Error
	if !errors.As(err, &all) {
		t.Fatalf("error is a %T, want an *Error: %v", err, err)
	}
	lines := make([]string, len(all.Problems))
	for i, problem := range all.Problems {
		lines[i] = strings.ReplaceAll(problem, filepath.Dir(in.Path)+"/", "")
		if strings.Contains(problem, "\n") {
			t.Errorf("a problem has more than one line: %q", problem)
		}
	}
	return lines
}

func TestLoad_Defaults(t *testing.T) {
	t.Parallel()
	c, err := LoadConsumer(Input{})
	if err != nil {
		t.Fatal(err)
	}
	want := MySQL{
		Address: "127.0.0.1:3306", Database: "payment", User: "payment_app",
		MaxOpenConnections: 8, ConnectTimeout: 3 * time.Second, ReadTimeout: 5 * time.Second,
		LockWaitTimeout: 3 * time.Second,
		SessionTimeout:  20 * time.Second, IdleTimeout: 10 * time.Second,
	}
	if diff := cmp.Diff(want, c.MySQL); diff != "" {
		t.Errorf("mysql (-want +got):\n%s", diff)
	}
	if got, want := c.Redis.Timeout, 100*time.Millisecond; got != want {
		t.Errorf("redis timeout is %v, want %v", got, want)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:9876"}, c.RocketMQ.NameServers); diff != "" {
		t.Errorf("name servers (-want +got):\n%s", diff)
	}
	if c.Ops.Address != "127.0.0.1:9101" {
		t.Errorf("health and profiles are served on %s, want a loopback address", c.Ops.Address)
	}
	for _, s := range c.Settings {
		if s.Source != FromDefault {
			t.Errorf("%s comes from %s", s.Key, s.Source)
		}
	}
}

func TestLoad_Precedence(t *testing.T) {
	t.Parallel()
	path := writeFile(t, "c.yaml", "mysql:\n  address: file:1\n  database: file\n  user: file\n")
	c, err := LoadConsumer(Input{
		Path:    path,
		Flags:   parseFlags(t, "--mysql-address=flag:3"),
		Environ: []string{"PAYMENT_MYSQL_ADDRESS=env:2", "PAYMENT_MYSQL_DATABASE=env"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Setting{}
	for _, s := range c.Settings {
		if strings.HasPrefix(s.Key, "mysql.") && s.Source != FromDefault {
			got[s.Key] = s
		}
	}
	want := map[string]Setting{
		"mysql.address":  {"mysql.address", "PAYMENT_MYSQL_ADDRESS", "flag:3", FromFlag},
		"mysql.database": {"mysql.database", "PAYMENT_MYSQL_DATABASE", "env", FromEnvironment},
		"mysql.user":     {"mysql.user", "PAYMENT_MYSQL_USER", "file", FromFile},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.MySQL.Address != "flag:3" || c.MySQL.Database != "env" || c.MySQL.User != "file" {
		t.Errorf("the fields hold %+v", c.MySQL)
	}
}

// A flag that repeats the default is still stronger than the environment.
func TestLoad_FlagWithDefaultValueWins(t *testing.T) {
	t.Parallel()
	c, err := LoadConsumer(Input{
		Flags: parseFlags(t, "--log-level=info"), Environ: []string{"PAYMENT_LOG_LEVEL=debug"},
	})
	if err != nil || c.Log.Level != "info" {
		t.Errorf("level is %q, error %v; want info", c.Log.Level, err)
	}
}

func TestLoad_NameServers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Text": "rocketmq:\n  name_servers: a:1, b:2\n",
		"List": "rocketmq:\n  name_servers: [a:1, \"b:2\"]\n",
	} {
		c, err := LoadConsumer(Input{Path: writeFile(t, "c.yaml", text)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]string{"a:1", "b:2"}, c.RocketMQ.NameServers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Every value is the text that was written: YAML would make the number 8 of the first and 1000
// of the fourth.
func TestLoad_TextsAreNotConverted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"010", "no", "12_30", "1e3", "0x10"} {
		path := writeFile(t, "c.yaml", "mysql:\n  database: "+text+"\n")
		c, err := LoadConsumer(Input{Path: path})
		if err != nil || c.MySQL.Database != text {
			t.Errorf("%s became %q, error %v", text, c.MySQL.Database, err)
		}
	}
}

func TestLoad_Needs(t *testing.T) {
	t.Parallel()
	got := problems(t, Input{}, NeedMySQL, NeedCache)
	want := []string{
		"mysql.password (PAYMENT_MYSQL_PASSWORD): is required and not set; give a secret on " +
			"one line, or name a file that holds it in PAYMENT_MYSQL_PASSWORD_FILE",
		"cache.keys (PAYMENT_CACHE_KEYS): is required and not set; give NAME:HEX, or two " +
			"with a comma between them, with 64 hex digits each; make one with: " +
			"echo k1:$(openssl rand -hex 32), or name a file that holds it in " +
			"PAYMENT_CACHE_KEYS_FILE",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	environ := []string{"PAYMENT_MYSQL_PASSWORD=pw", "PAYMENT_CACHE_KEYS=" + key32}
	c, err := LoadConsumer(Input{Environ: environ}, NeedMySQL, NeedCache)
	if err != nil {
		t.Fatal(err)
	}
	if c.MySQL.Password.Reveal() != "pw" || c.Cache.Keys.Reveal() != key32 {
		t.Error("the secrets did not arrive")
	}
}

func TestLoad_AllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	in := Input{
		Path:    writeFile(t, "c.yaml", "redis:\n  timeout_ms: 100ms\n  oops: 1\n"),
		Flags:   parseFlags(t, "--log-level=loud"),
		Environ: []string{"PAYMENT_MYSQL_ADDRESS=db", "PAYMENT_MYSQL_ADRESS=db:1"},
	}
	want := []string{
		`c.yaml:3: unknown key "redis.oops"; the settings of redis are ` +
			`address, user, password, password_file, tls, tls_ca, db, key_prefix, timeout_ms`,
		`unknown variable "PAYMENT_MYSQL_ADRESS" in the environment; ` +
			`did you mean PAYMENT_MYSQL_ADDRESS?`,
		`mysql.address (PAYMENT_MYSQL_ADDRESS): "db" from the environment is not accepted; ` +
			`give host:port, such as 127.0.0.1:3306`,
		`redis.timeout_ms (PAYMENT_REDIS_TIMEOUT_MS): "100ms" from c.yaml:2 is not accepted; ` +
			`give a whole number of milliseconds from 1 to 10000, without a unit`,
		`log.level (PAYMENT_LOG_LEVEL): "loud" from flag --log-level is not accepted; ` +
			`give one of debug, info, warn, error`,
	}
	if diff := cmp.Diff(want, problems(t, in)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoad_LongValueIsCut(t *testing.T) {
	t.Parallel()
	in := Input{Environ: []string{"PAYMENT_LOG_LEVEL=" + strings.Repeat("x", 5000)}}
	got := problems(t, in)
	if len(got) != 1 || len(got[0]) > 250 {
		t.Errorf("got %q", got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	flags := parseFlags(t)
	for _, s := range consumerTable(&Consumer{}) {
		flag := flags.Lookup(s.flag())
		switch {
		case s.secret && flag != nil:
			t.Errorf("secret %s has a flag", s.key)
		case !s.secret && flag == nil:
			t.Errorf("%s has no flag", s.key)
		case !s.secret && flag.Hidden == s.everyday:
			t.Errorf("flag --%s is hidden: %v", flag.Name, flag.Hidden)
		}
	}
	if usage := flags.FlagUsages(); !strings.Contains(usage, "--mysql-address") ||
		strings.Contains(usage, "--hold-limit") {
		t.Errorf("the everyday flags are not the ones shown:\n%s", usage)
	}
}
