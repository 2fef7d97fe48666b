package main_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMistakes makes the mistakes that people make. Each must end the program with one clear
// line that says what to do.
func TestMistakes(t *testing.T) {
	requireStack(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	taken := listener.Addr().String()
	folder := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const quick = "PAYMENT_ROCKETMQ_START_ATTEMPTS=1"
	const ownPort = "PAYMENT_OPS_ADDRESS=127.0.0.1:0"
	for name, test := range map[string]struct {
		program string
		env     []string
		args    []string
		status  int
		says    []string
	}{
		"NoDatabase": {env: []string{quick, ownPort, "PAYMENT_MYSQL_ADDRESS=127.0.0.1:1"},
			status: 1, says: []string{"PAYMENT_MYSQL_ADDRESS", "127.0.0.1:1"}},
		"WrongPassword": {env: []string{ownPort, "PAYMENT_MYSQL_PASSWORD=wrong"},
			status: 1, says: []string{"access denied", "password"}},
		"NoSuchDatabase": {env: []string{ownPort, "PAYMENT_MYSQL_DATABASE=nowhere"},
			status: 1, says: []string{"nowhere"}},
		"NoNameServer": {env: []string{quick, ownPort, "PAYMENT_ROCKETMQ_NAME_SERVERS=127.0.0.1:1"},
			status: 1, says: []string{"PAYMENT_ROCKETMQ_NAME_SERVERS", "127.0.0.1:1"}},
		"WrongTopic": {env: []string{quick, ownPort, "PAYMENT_ROCKETMQ_TOPIC=NO_SUCH_TOPIC"},
			status: 1, says: []string{"NO_SUCH_TOPIC"}},
		"PortTaken": {env: []string{"PAYMENT_OPS_ADDRESS=" + taken},
			status: 1, says: []string{taken, "PAYMENT_OPS_ADDRESS"}},
		"UnknownVariable": {env: []string{"PAYMENT_MYSQL_ADRESS=x"},
			status: 2, says: []string{"PAYMENT_MYSQL_ADRESS", "PAYMENT_MYSQL_ADDRESS"}},
		"UnknownFlag":    {args: []string{"--mysql-adress", "x"}, status: 2, says: []string{"--mysql-adress"}},
		"UnknownCommand": {args: []string{"audti"}, status: 2, says: []string{"audti"}},
		"BadYAML": {args: []string{"--config", write("bad.yaml", "mysql:\n  address: [\n", 0o600)},
			status: 2, says: []string{"bad.yaml"}},
		"UnknownKey": {args: []string{"--config", write("typo.yaml", "mysql:\n  adress: x\n", 0o600)},
			status: 2, says: []string{"mysql.adress", "mysql.address"}},
		"NoFile": {args: []string{"--config", filepath.Join(folder, "none.yaml")},
			status: 2, says: []string{"none.yaml"}},
		"WorldReadableSecret": {env: []string{"PAYMENT_MYSQL_PASSWORD=",
			"PAYMENT_MYSQL_PASSWORD_FILE=" + write("secret", "x", 0o644)},
			status: 2, says: []string{"secret", "chmod"}},
		"BadSerial":   {args: []string{"why", "no such serial"}, status: 2, says: []string{"serial"}},
		"BadID":       {args: []string{"quarantine", "show", "x"}, status: 2, says: []string{"quarantine list"}},
		"NotThere":    {args: []string{"quarantine", "show", "999999999"}, status: 1, says: []string{"999999999"}},
		"BadOutput":   {args: []string{"audit", "-o", "xml"}, status: 2, says: []string{"xml", "json"}},
		"NoSelection": {args: []string{"quarantine", "replay"}, status: 2, says: []string{"--kind"}},
		"BadCurrency": {args: []string{"accounts", "open", "a", "--currency", "cny"}, status: 2, says: []string{"cny"}},
		"ProducerNoServer": {program: "order-producer",
			env:    []string{"PAYMENT_ROCKETMQ_NAME_SERVERS=127.0.0.1:1"},
			args:   []string{"send", "--payer", "user-1", "--payee", "shop-1", "--amount", "1"},
			status: 1, says: []string{"PAYMENT_ROCKETMQ_NAME_SERVERS"}},
		"ProducerWrongTopic": {program: "order-producer",
			env:    []string{"PAYMENT_ROCKETMQ_TOPIC=NO_SUCH_TOPIC"},
			args:   []string{"send", "--payer", "user-1", "--payee", "shop-1", "--amount", "1"},
			status: 1, says: []string{"NO_SUCH_TOPIC", "PAYMENT_ROCKETMQ_TOPIC"}},
		"ProducerBadAmount": {program: "order-producer",
			args:   []string{"send", "--payer", "user-1", "--payee", "shop-1", "--amount", "1.999"},
			status: 2, says: []string{"amount"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			binary := test.program
			if binary == "" {
				binary = "payment-consumer"
			}
			env := append([]string{"PAYMENT_LOG_LEVEL=error"}, test.env...)
			o := run(t, binary, env, test.args...)
			if o.status != test.status {
				t.Errorf("exit status %d, want %d", o.status, test.status)
			}
			if lines := o.lines(); len(lines) != 1 {
				t.Errorf("%d lines, want one:\n%s", len(lines), o.stderr)
			}
			for _, word := range test.says {
				if !strings.Contains(o.stderr, word) {
					t.Errorf("does not say %q: %s", word, o.stderr)
				}
			}
		})
	}
}
