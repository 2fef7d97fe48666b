package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFile_Refused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want string
	}{
		"UnknownKey": {
			"mysql:\n  adress: a:1\n",
			`c.yaml:2: unknown key "mysql.adress"; did you mean mysql.address?`,
		},
		"UnknownSection": {
			"mysqll:\n  address: a:1\n",
			`c.yaml:1: unknown key "mysqll"; did you mean mysql?`,
		},
		"ForgottenUnit": {
			"mysql:\n  read_timeout: 5\n",
			`c.yaml:2: unknown key "mysql.read_timeout"; ` +
				`did you mean mysql.read_timeout_seconds?`,
		},
		"OtherCase": {
			"mysql:\n  Address: a:1\n",
			`c.yaml:2: unknown key "mysql.Address"; did you mean mysql.address?`,
		},
		"TwiceInTwoCases": {
			"mysql:\n  address: a:1\n  ADDRESS: b:2\n",
			`c.yaml:3: key "mysql.ADDRESS" is given twice, the first time in line 2`,
		},
		"SectionTwice": {
			"log:\n  level: info\nlog:\n  format: json\n",
			`c.yaml:3: key "log" is given twice, the first time in line 1`,
		},
		"Dotted": {
			"mysql.address: a:1\n",
			`c.yaml:1: unknown key "mysql.address"; ` +
				`write it as section mysql: with address: below it, indented`,
		},
		"OfTheOtherProgram": {
			"rocketmq:\n  results_group: g\n",
			"c.yaml:2: rocketmq.results_group is a setting of order-producer, " +
				"not of payment-consumer",
		},
		"Secret": {
			"mysql:\n  password: hunter2\n",
			"c.yaml:2: mysql.password is a secret and has no place in this file; set " +
				"PAYMENT_MYSQL_PASSWORD, or name a file that holds it with mysql.password_file",
		},
		"NoValue": {
			"mysql:\n  address:\n",
			"c.yaml:2: mysql.address has no value; give one or remove the line",
		},
		"MappingAsValue": {
			"mysql:\n  address: {a: 1}\n",
			"c.yaml:2: mysql.address is not a plain value; " +
				"give host:port, such as 127.0.0.1:3306",
		},
		"ListAsValue": {
			"mysql:\n  address: [a:1]\n",
			"c.yaml:2: mysql.address is not a plain value; " +
				"give host:port, such as 127.0.0.1:3306",
		},
		"ListInList": {
			"rocketmq:\n  name_servers: [[a:1]]\n",
			"c.yaml:2: rocketmq.name_servers is not a list of plain values",
		},
		"Alias": {
			"mysql:\n  address: &x a:1\nredis:\n  address: *x\n",
			"c.yaml:4: redis.address is not a plain value; " +
				"give host:port, such as 127.0.0.1:6379",
		},
		"MergeKey": {
			"log: &x\n  level: info\nshutdown:\n  <<: *x\n",
			`c.yaml:4: unknown key "shutdown.<<"; the settings of shutdown are grace_seconds`,
		},
		"KeyIsAList": {"[a]: 1\n", "c.yaml:1: the key is not a plain name"},
		"SectionIsText": {
			"mysql: here\n",
			"c.yaml:1: mysql is a section; write its settings below it, indented",
		},
		"ListAtTheTop": {
			"- a\n", `c.yaml:1: want sections with settings, such as "mysql:"`,
		},
		"TwoDocuments": {
			"log:\n  level: info\n---\nlog:\n  level: warn\n",
			"c.yaml: there is more than one document in the file",
		},
		"Tab": {
			"log:\n\tlevel: info\n",
			"c.yaml:2: not valid YAML, here or below: found character that cannot start any token " +
				"(is it a tab? YAML indents with spaces)",
		},
		"Indentation": {
			"log:\n  level: info\n format: json\n",
			"c.yaml:2: not valid YAML, here or below: did not find expected key",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problems(t, Input{Path: writeFile(t, "c.yaml", test.text)})
			if diff := cmp.Diff([]string{test.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(strings.Join(got, ""), "hunter2") {
				t.Error("the secret is in the message")
			}
		})
	}
}

// TestFile_OtherProgram: the whole file of the other program is one mistake, not fifteen.
func TestFile_OtherProgram(t *testing.T) {
	t.Parallel()
	_, err := LoadProducer(Input{Path: consumerFile})
	if err == nil || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "is a file of payment-consumer, not of order-producer") {
		t.Errorf("the consumer's file for the producer: %v", err)
	}
}

func TestFile_Accepted(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"Empty": "", "Comments": "# nothing\n", "Null": "~\n", "EmptyMap": "{}\n",
		"EmptySection": "mysql:\n  # address: a:1\nlog:\n  level: info\n",
		"ByteOrder":    "\ufefflog:\n  level: info\n",
	} {
		if got := problems(t, Input{Path: writeFile(t, "c.yaml", text)}); got != nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestFile_Path(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, test := range map[string]struct{ path, want string }{
		"Missing": {
			filepath.Join(folder, "no.yaml"), "configuration file: no.yaml does not exist",
		},
		"Directory": {
			folder, "configuration file: " + filepath.Base(folder) +
				" is a directory; name a file in it",
		},
		"TooLarge": {
			writeFile(t, "big.yaml", strings.Repeat("#\n", fileBytes)),
			"configuration file: big.yaml is larger than 1048576 bytes",
		},
		"NotAFile": {os.DevNull, "configuration file: null is not a regular file"},
	} {
		if diff := cmp.Diff([]string{test.want}, problems(t, Input{Path: test.path})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
