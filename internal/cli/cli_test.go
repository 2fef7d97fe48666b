package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/config"
)

// capture are streams into two buffers.
func capture() (s Streams, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return Streams{Stdout: stdout, Stderr: stderr}, stdout, stderr
}

func TestReport(t *testing.T) {
	t.Parallel()
	plain := errors.New("it broke")
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{nil, 0, ""},
		{plain, ExitFailed, "prog: it broke\n"},
		{Usage(plain), ExitUsage, "prog: it broke\n"},
		{fmt.Errorf("more: %w", Usagef("bad %d", 7)), ExitUsage, "prog: more: bad 7\n"},
		{errors.Join(plain, plain), ExitFailed, "prog: it broke\nprog: it broke\n"},
		{Exit(ExitSignaled), ExitSignaled, ""},
		{Exit(ExitFailed), ExitFailed, ""},
	} {
		s, stdout, stderr := capture()
		if got := s.Report("prog", test.err); got != test.status {
			t.Errorf("%v: status %d, want %d", test.err, got, test.status)
		}
		if stderr.String() != test.text || stdout.Len() > 0 {
			t.Errorf("%v printed %q and %q", test.err, stderr, stdout)
		}
	}
	if !errors.Is(Usage(plain), plain) {
		t.Error("the cause is lost")
	}
}

// tree is a program with one command that prints its format.
func tree(s Streams) *cobra.Command {
	root := &cobra.Command{Use: "prog", Args: NoArguments, RunE: func(*cobra.Command, []string) error {
		return nil
	}}
	s.Prepare(root)
	var format string
	list := &cobra.Command{Use: "list", Args: Arguments(0, 1, "at most one name"),
		RunE: func(*cobra.Command, []string) error { s.Printf("%s", format); return nil }}
	OutputFlag(list, &format, "text", "json")
	root.AddCommand(list, s.ConfigCommand(Settings{
		Help: config.WriteProducerHelp, Example: config.WriteProducerExample,
		Load: func(*cobra.Command) (config.Settings, error) {
			return config.Settings{{Key: "a.b", Value: "c"}}, nil
		},
	}))
	return root
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"list", 0, "text"},
		{"list -o json", 0, "json"},
		{"list -o xml", ExitUsage, "-o xml: must be one of text, json"},
		{"list a b", ExitUsage, "prog list needs at most one name; see prog list --help"},
		{"lits", ExitUsage, `unknown command "lits"; did you mean "list"?`},
		{"nothing", ExitUsage, `unknown command "nothing"; see prog --help`},
		{"list --nope", ExitUsage, "unknown flag: --nope"},
		{"config", 0, "rocketmq.topic"},
		{"config example", 0, "result_topic:"},
		{"config print -o json", 0, `"a.b"`},
		{"config prnt", ExitUsage, `did you mean "print"?`},
	} {
		s, stdout, stderr := capture()
		root := tree(s)
		root.SetArgs(strings.Fields(test.args))
		if got := s.Report("prog", root.Execute()); got != test.status {
			t.Errorf("%s: status %d, want %d", test.args, got, test.status)
		}
		if !strings.Contains(stdout.String()+stderr.String(), test.want) {
			t.Errorf("%s printed %q and %q", test.args, stdout, stderr)
		}
		if (stderr.Len() > 0) != (test.status != 0) {
			t.Errorf("%s: stderr %q", test.args, stderr)
		}
	}
}

func TestPrintRecords(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": "[]\n", "jsonl": ""} {
		s, stdout, _ := capture()
		if err := PrintRecords[int](s, nil, format); err != nil || stdout.String() != want {
			t.Errorf("%s: %q, %v", format, stdout, err)
		}
	}
	s, stdout, _ := capture()
	if err := PrintRecords(s, []int{1, 2}, "jsonl"); err != nil || stdout.String() != "1\n2\n" {
		t.Errorf("%q, %v", stdout, err)
	}
}

// TestProducer: attempts count the first one, and one attempt is no repeat, which is not the
// default.
func TestProducer(t *testing.T) {
	t.Parallel()
	b := config.Broker{NameServers: []string{"a:1"}, AccessKey: "k", SecretKey: config.NewSecret("s")}
	for attempts, retries := range map[int]int{1: -1, 2: 1, 3: 2} {
		c := Producer(b, config.Sending{SendAttempts: attempts, SendTimeout: time.Second}, "g", "i")
		if c.Retries != retries || c.Group != "g" || c.Instance != "i" || c.SecretKey != "s" ||
			c.AccessKey != "k" || c.SendTimeout != time.Second || len(c.NameServers) != 1 {
			t.Errorf("%d attempts: %+v", attempts, c)
		}
	}
}
