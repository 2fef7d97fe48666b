package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// environOf sets every variable of a table to its default, or to something for a secret.
func environOf(table []setting) []string {
	var all []string
	for _, s := range table {
		if s.secret {
			all = append(all, s.variable()+"="+key32)
		} else {
			all = append(all, s.variable()+"="+s.def)
		}
	}
	return all
}

func TestEnviron_EachProgramAcceptsBoth(t *testing.T) {
	t.Parallel()
	environ := append(environOf(consumerTable(&Consumer{})), environOf(producerTable(&Producer{}))...)
	environ = append(environ, "PAYMENT_ROCKETMQ_ACCESS_KEY=user")
	if _, err := LoadConsumer(Input{Environ: environ}); err != nil {
		t.Error(err)
	}
	if _, err := LoadProducer(Input{Environ: environ}); err != nil {
		t.Error(err)
	}
}

func TestEnviron_Foreign(t *testing.T) {
	t.Parallel()
	environ := []string{
		"PAYMENT_TEST_MYSQL_ROOT=x", "PAYMENT_LAB_ANYTHING=x", "HOME=/", "PAYMENTS=3",
		"PAYMENT_CONSUMER_SERVICE_HOST=10.0.0.1", "PAYMENT_CONSUMER_SERVICE_PORT=9101",
		"PAYMENT_CONSUMER_SERVICE_PORT_OPS=9101", "PAYMENT_CONSUMER_PORT=tcp://10.0.0.1:9101",
		"PAYMENT_CONSUMER_PORT_9101_TCP=tcp://10.0.0.1:9101",
		"PAYMENT_CONSUMER_PORT_9101_TCP_ADDR=10.0.0.1", "NONSENSE", "",
	}
	if got := problems(t, Input{Environ: environ}); got != nil {
		t.Errorf("got %q", got)
	}
}

func TestEnviron_Unknown(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"PAYMENT_MYSQL_PASWORD":   "; did you mean PAYMENT_MYSQL_PASSWORD?",
		"PAYMENT_REDIS_TIMEOUT":   "; did you mean PAYMENT_REDIS_TIMEOUT_MS?",
		"PAYMENT_ROCKETMQ_TOPICS": "; did you mean PAYMENT_ROCKETMQ_TOPIC?",
		"Payment_Mysql_Address":   "; did you mean PAYMENT_MYSQL_ADDRESS?",
		"PAYMENT_COLOUR_OF_MONEY": "",
		"PAYMENT_REDIS_PORT": "; the settings of redis are " +
			"address, user, password, password_file, tls, tls_ca, db, key_prefix, timeout_ms",
	} {
		want := `unknown variable "` + name + `" in the environment` + want
		got := problems(t, Input{Environ: []string{name + "=hunter2"}})
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestEnviron_EmptyIsNotSet(t *testing.T) {
	t.Parallel()
	c, err := LoadConsumer(Input{
		Path:    writeFile(t, "c.yaml", "mysql:\n  user: file\n"),
		Environ: []string{"PAYMENT_MYSQL_USER=", "PAYMENT_MYSQL_PASSWORD="},
	})
	if err != nil || c.MySQL.User != "file" {
		t.Errorf("user is %q, error %v", c.MySQL.User, err)
	}
	if strings.Contains(c.MySQL.Password.Reveal(), "x") || c.MySQL.Password.IsSet() {
		t.Error("an empty password counts as set")
	}
}
