package config

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// leaves gives every field of a struct that holds a value, by its path.
func leaves(v reflect.Value, path string, into map[string]any) map[string]any {
	switch {
	case path == ".Settings":
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Secret]():
		for i := range v.NumField() {
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, into)
		}
	default:
		into[path] = v.Interface()
	}
	return into
}

// Each setting changes exactly one field, and each field is changed by exactly one setting.
func testEachSettingHasAField[T any](t *testing.T, tableOf func(*T) []setting) {
	t.Helper()
	values := []string{"1", "3", "77", "300", "true", "debug", "console", "json", "h:1", "x", key32,
		"http://h:1"}
	changedBy := map[string]string{}
	for i, row := range tableOf(new(T)) {
		if strings.HasSuffix(row.key, fileSuffix) {
			continue
		}
		var before, after T
		tableOf(&before)
		s := tableOf(&after)[i]
		accepted := slices.ContainsFunc(values, s.assign)
		var changed []string
		was := leaves(reflect.ValueOf(before), "", map[string]any{})
		for path, value := range leaves(reflect.ValueOf(after), "", map[string]any{}) {
			if !cmp.Equal(was[path], value) {
				changed = append(changed, path)
			}
		}
		if !accepted || len(changed) != 1 {
			t.Errorf("%s changed the fields %q, want one", row.key, changed)
			continue
		}
		if other := changedBy[changed[0]]; other != "" {
			t.Errorf("%s and %s both fill field %s", other, row.key, changed[0])
		}
		changedBy[changed[0]] = row.key
	}
	for path := range leaves(reflect.ValueOf(*new(T)), "", map[string]any{}) {
		if changedBy[path] == "" {
			t.Errorf("field %s has no setting", path)
		}
	}
}

func TestTable_Fields(t *testing.T) {
	t.Parallel()
	testEachSettingHasAField(t, consumerTable)
	testEachSettingHasAField(t, producerTable)
}

func TestTable_Rows(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z]+\.[a-z_]+$`)
	for _, table := range [][]setting{consumerTable(&Consumer{}), producerTable(&Producer{})} {
		seen := map[string]bool{}
		sections := []string{}
		for _, s := range table {
			if !form.MatchString(s.key) || seen[s.key] || seen[s.variable()] {
				t.Errorf("key %s is not well formed, or not the only one", s.key)
			}
			seen[s.key], seen[s.variable()] = true, true
			if !strings.HasSuffix(s.doc, ".") && !strings.HasSuffix(s.doc, ")") || s.accepts == "" {
				t.Errorf("%s is not documented", s.key)
			}
			if !s.assign(s.def) && !s.secret {
				t.Errorf("%s: the default %q is not accepted", s.key, s.def)
			}
			if len(sections) == 0 || sections[len(sections)-1] != s.section() {
				sections = append(sections, s.section())
			}
		}
		slices.Sort(sections)
		if unique := slices.Compact(slices.Clone(sections)); len(unique) != len(sections) {
			t.Errorf("a section is torn apart: %q", sections)
		}
	}
}

// The name of a setting says the unit of its value.
func TestTable_Units(t *testing.T) {
	t.Parallel()
	for suffix, unit := range map[string]time.Duration{
		"_seconds": time.Second, "_ms": time.Millisecond,
	} {
		for i, row := range consumerTable(&Consumer{}) {
			var c Consumer
			s := consumerTable(&c)[i]
			isDuration := strings.Contains(s.accepts, "seconds")
			named := strings.HasSuffix(s.key, "_seconds") || strings.HasSuffix(s.key, "_ms")
			if isDuration != named {
				t.Errorf("%s accepts %s", row.key, row.accepts)
			}
			if !strings.HasSuffix(s.key, suffix) || !s.assign(row.def) || row.def == "0" {
				continue
			}
			for path, value := range leaves(reflect.ValueOf(c), "", map[string]any{}) {
				d, ok := value.(time.Duration)
				if ok && d != 0 && fmt.Sprint(int64(d/unit)) != row.def {
					t.Errorf("%s: %s became %v in %s", row.key, row.def, d, path)
				}
			}
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"ROCKETMQ_CONSUME_TIMEOUT_SECONDS=239": "rocketmq.consume_timeout_seconds " +
			"(PAYMENT_ROCKETMQ_CONSUME_TIMEOUT_SECONDS): 3m59s must be at least twice " +
			"hold.limit_seconds (PAYMENT_HOLD_LIMIT_SECONDS), 2m0s: the client would give back",
		"HOLD_LIMIT_SECONDS=4":              "hold.probe_max_ms",
		"MYSQL_LOCK_WAIT_TIMEOUT_SECONDS=5": "mysql.lock_wait_timeout_seconds",
		"MYSQL_READ_TIMEOUT_SECONDS=20":     "mysql.read_timeout_seconds",
		"MYSQL_IDLE_TIMEOUT_SECONDS=20":     "mysql.idle_timeout_seconds",
		"GUARD_COMMITTERS=8":                "guard.committers",
		"GUARD_WAITING=2047": "guard.waiting (PAYMENT_GUARD_WAITING): 2047 must be at least twice " +
			"rocketmq.concurrency, 1024",
		"HOLD_PROBE_MIN_MS=5001":           "hold.probe_min_ms",
		"CACHE_EXPIRY_SECONDS=3600":        "cache.expiry_jitter_seconds",
		"PAYMENT_BALANCE_LIMIT_MINOR=1000": "payment.max_amount_minor",
		"ROCKETMQ_ACCESS_KEY=me": "rocketmq.access_key (PAYMENT_ROCKETMQ_ACCESS_KEY) and " +
			"rocketmq.secret_key (PAYMENT_ROCKETMQ_SECRET_KEY): only one of them is set",
		"ROCKETMQ_SECRET_KEY=me": "rocketmq.access_key",
	} {
		got := problems(t, Input{Environ: []string{prefix + environ}})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %q, want %q", environ, got, want)
		}
	}
}

// A rule about a value that is refused anyway would only confuse.
func TestRules_SkippedForBadValues(t *testing.T) {
	t.Parallel()
	got := problems(t, Input{Environ: []string{"PAYMENT_MYSQL_READ_TIMEOUT_SECONDS=0"}})
	if len(got) != 1 || !strings.Contains(got[0], `"0" from the environment is not accepted`) {
		t.Errorf("got %q", got)
	}
}

func TestParsers_Refuse(t *testing.T) {
	t.Parallel()
	for key, values := range map[string][]string{
		"mysql.address": {"", "db", "db:", ":3306", "db:0", "db:65536", "http://db:3306", "a b:1",
			"db:3306,db2:3306"},
		"ops.address":           {"", ":9101", "9101", "x:-1"},
		"rocketmq.name_servers": {"", "a:1,", "a:1;b:2", "a"},
		"rocketmq.topic":        {"", "a b", "%DLQ%x", "ä", strings.Repeat("x", 101)},
		"rocketmq.max_redeliveries": {"0", "-1", "101", "1.0", "1_0", " 1", "1x",
			"99999999999999999999"},
		"mysql.allow_unsafe": {"", "yes", "1", "True"},
		"redis.key_prefix":   {"", "a*", "{a}", "a b"},
		"log.level":          {"", "INFO", "trace"},
	} {
		s, ok := find(consumerTable(&Consumer{}), key)
		if !ok {
			t.Fatalf("no setting %s", key)
		}
		for _, value := range values {
			if s.assign(value) {
				t.Errorf("%s accepts %q", key, value)
			}
		}
	}
	s, _ := find(consumerTable(&Consumer{}), "mysql.address")
	for _, value := range []string{"db:1", "127.0.0.1:3306", "[::1]:3306", "a-b.c_d:65535"} {
		if !s.assign(value) {
			t.Errorf("mysql.address refuses %q", value)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	c, err := LoadConsumer(Input{Environ: []string{
		"PAYMENT_MYSQL_PASSWORD=" + hunter, "PAYMENT_LOG_LEVEL=warn",
	}})
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string][]string{
		"text": {`(?m)^mysql.password +\[redacted\] +environment$`,
			`(?m)^log.level +warn +environment$`, `(?m)^redis.password +"" +default$`},
		"json": {`"key": "mysql.password",\s+"variable": "PAYMENT_MYSQL_PASSWORD",\s+` +
			`"value": "\[redacted\]",\s+"source": "environment"`},
	} {
		var out bytes.Buffer
		if err := c.Settings.Print(&out, format); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range want {
			if !regexp.MustCompile(pattern).MatchString(out.String()) {
				t.Errorf("%s does not match %s:\n%s", format, pattern, out.String())
			}
		}
		if strings.Contains(out.String(), hunter) {
			t.Errorf("%s shows the secret", format)
		}
	}
	if err := c.Settings.Print(&bytes.Buffer{}, "xml"); err == nil {
		t.Error("an unknown format is accepted")
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteConsumerHelp(&out); err != nil {
		t.Fatal(err)
	}
	for _, s := range consumerTable(&Consumer{}) {
		if !strings.Contains(out.String(), "\n"+s.key+"\n") ||
			!strings.Contains(out.String(), "variable  "+s.variable()+"\n") {
			t.Errorf("%s is not explained", s.key)
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > width+10 {
			t.Errorf("a line is too wide: %s", line)
		}
	}
	if err := WriteProducerHelp(&bytes.Buffer{}); err != nil {
		t.Error(err)
	}
}
