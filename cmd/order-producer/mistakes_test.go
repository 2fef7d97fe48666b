package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMistakes: each is one line on standard error that says what to do, with status 2, before
// anything is sent.
func TestMistakes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	orders := file("orders.csv", "")
	order := []string{"send", "--payer", "user-1", "--payee", "shop-1"}
	for _, test := range []struct {
		want string
		args []string
	}{
		{`unknown command "snd"; did you mean "send"?`, []string{"snd"}},
		{`unknown flag: --payr`, []string{"send", "--payr", "user-1"}},
		{`--payer is missing`, []string{"send"}},
		{`--amount is missing`, order},
		{`CNY has 2 digits`, append(order, "--amount", "19.999")},
		{`JPY has 0 digits`, append(order, "--amount", "19.9", "--currency", "JPY")},
		{`at least one minor unit`, append(order, "--amount", "0")},
		{`--amount "-1"`, append(order, "--amount", "-1")},
		{`--currency "cny"`, append(order, "--amount", "1", "--currency", "cny")},
		{`--serial "a b"`, append(order, "--amount", "1", "--serial", "a b")},
		{`--order-id "é"`, append(order, "--amount", "1", "--order-id", "é")},
		{`--key goes with --raw-body`, append(order, "--amount", "1", "--key", "k")},
		{`--payer does not go with --raw-body`, []string{"send", "--raw-body", "x", "--payer", "u"}},
		{`--raw-body is empty`, []string{"send", "--raw-body", ""}},
		{`no such file`, []string{"send", "--raw-body", "@" + folder + "/none"}},
		{`-o yaml: must be one of text, json, jsonl`, append(order, "--amount", "1", "-o", "yaml")},
		{`--orders 0: must be from 1`, []string{"load", "--orders", "0"}},
		{`write 1% or 100%`, []string{"load", "--repeat", "1"}},
		{`per cent are written 20%`, []string{"load", "--repeat", "20"}},
		{`at most 100%`, []string{"load", "--alter", "101%"}},
		{`a share such as 20%`, []string{"load", "--malform", "NaN"}},
		{`--rate -1`, []string{"load", "--rate", "-1"}},
		{`--rate NaN`, []string{"load", "--rate", "NaN"}},
		{`--workers 0`, []string{"load", "--workers", "0"}},
		{`must not be below --amount-min`, []string{"load", "--amount-min", "2", "--amount-max", "1"}},
		{`--amount-max above`, []string{"load", "--amount-min", "2", "--amount-max", "2", "--alter", "1%"}},
		{`--run-id "a b"`, []string{"load", "--run-id", "a b"}},
		{`no such file`, []string{"load", "--file", folder + "/none.csv"}},
		{`say with --format`, []string{"load", "--file", folder + "/orders.xml"}},
		{`--format "xml": must be jsonl or csv`, []string{"load", "--file", orders, "--format", "xml"}},
		{`--format goes with --file`, []string{"load", "--format", "csv"}},
		{`--repeat, --seed: not with --file`,
			[]string{"load", "--file", orders, "--repeat", "5%", "--seed", "1"}},
		{`exists already`, []string{"load", "--journal", orders}},
		{`no such file`, []string{"load", "--journal", folder + "/none/journal"}},
		{`--patience 0s`, []string{"results", "--patience", "0s"}},
		{`--serial "a b"`, []string{"results", "--serial", "a b"}},
		{`unknown key "rocketmq.topik"; did you mean rocketmq.topic?`,
			[]string{"load", "--config", file("a.yaml", "rocketmq:\n  topik: X\n")}},
		{`not valid YAML`, []string{"load", "--config", file("b.yaml", "rocketmq: [\n")}},
		{`does not exist`, []string{"load", "--config", folder + "/none.yaml"}},
	} {
		s := newSetup(t)
		r := s.run(test.args...).want(t, 2)
		if lines := strings.Count(r.stderr, "\n"); lines != 1 || !strings.Contains(r.stderr, test.want) {
			t.Errorf("%q gave %d lines, want one with %q:\n%s", test.args, lines, test.want, r.stderr)
		}
		if !strings.HasPrefix(r.stderr, "order-producer: ") || r.stdout != "" {
			t.Errorf("%q printed %q and %q", test.args, r.stdout, r.stderr)
		}
		if len(s.broker.sent) > 0 {
			t.Errorf("%q sent %d messages", test.args, len(s.broker.sent))
		}
	}
}

// TestConfigCommands: what is explained, printed and written as an example is the producer's.
func TestConfigCommands(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.environ = []string{"PAYMENT_ROCKETMQ_SECRET_KEY=hush", "PAYMENT_ROCKETMQ_ACCESS_KEY=me",
		"PAYMENT_MYSQL_DATABASE=payment"}
	r := s.run("config", "print", "--rocketmq-topic", "OTHER").want(t, 0)
	if !strings.Contains(r.stdout, "OTHER") || strings.Contains(r.stdout, "hush") {
		t.Error(r.stdout)
	}
	for _, args := range [][]string{{"config"}, {"config", "example"}, {"--help"}, {}} {
		if r := s.run(args...).want(t, 0); !strings.Contains(r.stdout, "unknown_repeats") {
			t.Errorf("%q printed %q", args, r.stdout)
		}
	}
}
