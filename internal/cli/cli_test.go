package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"example.com/payment/internal/config"
)

// TestMain lets the test's own program be one that Run runs.
func TestMain(m *testing.M) {
	if mode := os.Getenv("CLI_TEST_RUN"); mode != "" {
		os.Exit(runUntilSignalled(mode))
	}
	os.Exit(m.Run())
}

// runUntilSignalled ends in order when its context does, or never.
func runUntilSignalled(mode string) int {
	s := Streams{Stdout: os.Stdout, Stderr: os.Stderr}
	root := &cobra.Command{Use: "prog", RunE: func(cmd *cobra.Command, _ []string) error {
		s.Printf("running\n")
		<-cmd.Context().Done()
		s.Printf("asked to end\n")
		if mode == "stuck" {
			select {}
		}
		return nil
	}}
	root.SetArgs(nil)
	s.Prepare(root)
	return Run(s, root)
}

// TestRun_Signals: the first signal asks for an orderly end, the second one is the end.
func TestRun_Signals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode    string
		signals []os.Signal
		status  int
	}{
		"Interrupt": {"orderly", []os.Signal{os.Interrupt}, 0},
		"Terminate": {"orderly", []os.Signal{syscall.SIGTERM}, 0},
		"Twice":     {"stuck", []os.Signal{os.Interrupt, os.Interrupt}, ExitSignaled},
		"Both":      {"stuck", []os.Signal{syscall.SIGTERM, os.Interrupt}, ExitSignaled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), "CLI_TEST_RUN="+test.mode)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := bufio.NewScanner(out)
			for _, signal := range test.signals {
				said.Scan() // "running", then "asked to end"
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
			}
			for said.Scan() {
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != test.status {
				t.Errorf("exit status %d, want %d", got, test.status)
			}
		})
	}
}

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
	list.Flags().Int("count", 0, "")
	list.Flags().Uint64("seed", 0, "")
	list.Flags().Float64("rate", 0, "")
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
		{"list --count 1e3", ExitUsage, `invalid argument "1e3" for "--count" flag: want a whole number`},
		{"list --count 99999999999999999999", ExitUsage, "the number is too large"},
		{"list --seed -1", ExitUsage, "want a whole number, 0 or more"},
		{"list --rate x", ExitUsage, "want a number"},
		{"config", 0, "rocketmq.topic"},
		{"config example", 0, "result_topic:"},
		{"config print -o json", 0, `"a.b"`},
		{"config prnt", ExitUsage, `did you mean "print"?`},
		{"--version", 0, "prog " + Version().String() + "\n"},
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
