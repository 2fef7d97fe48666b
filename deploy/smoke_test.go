package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeDocker stands for docker: it writes down what it was asked, gives the results that the file
// "results" holds, once, and fails when it is asked for what the file "broken" names.
const fakeDocker = `#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >>calls
case $* in
*" results "*) cat results; : >results ;;
esac
if [ -s broken ] && echo "$*" | grep -Fqe "$(cat broken)"; then exit 1; fi
`

// Nobody here has a Docker engine, but whether the script notices what is wrong needs none.
func TestSmokeScript(t *testing.T) {
	t.Parallel()
	result := func(order, outcome, duplicate string) string {
		return `{"version":1,"order_id":"` + order + `","serial_no":"s","outcome":"` + outcome +
			`","duplicate":` + duplicate + "}\n"
	}
	var all strings.Builder
	for _, order := range []string{"a", "b", "c", "d"} {
		all.WriteString(result(order, "paid", "false"))
	}
	repeat := result("a", "paid", "true")
	whole := all.String() + result("e", "paid", "false") + repeat
	for _, test := range []struct {
		name, results, broken, want string
		fails                       bool
	}{
		{"AllPaid", whole, "", "orders=5 repeats=1 results=6 paid=5", false},
		{"Lost", all.String() + repeat, "", "results=5 paid=4", true},
		{"RepeatUnanswered", all.String() + result("e", "paid", "false"), "", "results=5 paid=5", true},
		{"Declined", all.String() + result("e", "declined", "false") + repeat, "",
			"results=6 paid=4", true},
		{"NothingAnswered", "", "", "results=0 paid=0", true},
		{"NotHealthy", whole, "up --wait", "", true},
		{"NotSent", whole, "load --orders", "", true},
		{"AuditFails", whole, "payment-consumer audit", "paid=5", true},
		{"StaysBehind", whole, "down --volumes", "paid=5", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string]string{
				"docker": fakeDocker, "results": test.results, "broken": test.broken,
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "bash", "smoke.sh")
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"),
				"ORDERS=5", "ATTEMPTS=2", "PAUSE=0")
			output, err := cmd.CombinedOutput()
			if (err != nil) != test.fails || !strings.Contains(string(output), test.want) {
				t.Errorf("got %v and %q, want %q and failure %t", err, output, test.want, test.fails)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(calls), "--profile tools down --volumes") {
				t.Errorf("nothing was taken away:\n%s", calls)
			}
		})
	}
}
