package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	page "example.com/payment/internal/lab"
)

// visitor is somebody who looks at the lab's page, without a browser.
type visitor struct {
	base, token string
	client      http.Client

	mu    sync.Mutex
	tasks map[int64]page.Task
	audit page.Audit
	order string
}

// pageAddress is what the lab prints.
var pageAddress = regexp.MustCompile(`http://\S+/\?token=\S+`)

// serveLab starts payment-lab serve, built with what it needs beside it, and visits its page.
func serveLab(t *testing.T, home string) (*visitor, *labRun) {
	t.Helper()
	programs := t.TempDir()
	out, err := exec.Command("go", "build", "-o", programs+"/", ".", "../payment-consumer").
		CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	r := &labRun{out: new(bytes.Buffer), ctx: ctx, exited: make(chan error, 1)}
	r.cmd = exec.CommandContext(ctx, filepath.Join(programs, "payment-lab"), "--home", home, "serve",
		"--no-browser")
	said, pipe := io.Pipe()
	r.cmd.Stdout = io.MultiWriter(r.out, pipe)
	r.cmd.Stderr = r.cmd.Stdout
	r.cmd.WaitDelay = time.Minute
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := r.cmd.Wait()
		_ = pipe.Close()
		r.exited <- err
	}()
	address := ""
	for lines := bufio.NewScanner(said); address == "" && lines.Scan(); {
		address = pageAddress.FindString(lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	if address == "" {
		t.Fatalf("the lab printed no address:\n%s", r.out)
	}
	return enter(t, ctx, address), r
}

// enter opens the page and listens to its frames.
func enter(t *testing.T, ctx context.Context, address string) *visitor {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{
		base: "http://" + at.Host, token: at.Query().Get("token"), client: http.Client{Jar: jar},
		tasks: map[int64]page.Task{},
	}
	if body := v.get(t, "/?token="+v.token); !strings.Contains(body, "Payment lab") {
		t.Fatalf("the page is %q", body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := v.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	go v.listen(response.Body)
	return v
}

func (v *visitor) listen(stream io.Reader) {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		var frame page.Frame
		if !found || json.Unmarshal([]byte(data), &frame) != nil {
			continue
		}
		v.mu.Lock()
		if frame.Fresh {
			v.order, v.audit = frame.Order, page.Audit{}
		}
		for _, task := range frame.Tasks {
			v.tasks[task.ID] = task
		}
		if frame.Audit != nil {
			v.audit = *frame.Audit
		}
		v.mu.Unlock()
	}
}

func (v *visitor) get(t *testing.T, path string) string {
	t.Helper()
	response, err := v.client.Get(v.base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", path, response.StatusCode, err, body)
	}
	return string(body)
}

// begin presses a button and returns the number of its task.
func (v *visitor) begin(t *testing.T, action string, form url.Values) int64 {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.base+"/do/"+action,
		strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Lab-Token", v.token)
	response, err := v.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	var task struct {
		Task int64 `json:"task"`
	}
	if err := json.Unmarshal(body, &task); err != nil {
		t.Fatalf("%s: status %d, %v: %s", action, response.StatusCode, err, body)
	}
	return task.Task
}

// ended waits for the end of a task, which must be a good one.
func (v *visitor) ended(t *testing.T, id int64) page.Task {
	t.Helper()
	var task page.Task
	eventually(t, func() string {
		v.mu.Lock()
		defer v.mu.Unlock()
		task = v.tasks[id]
		if task.Ended == 0 {
			return fmt.Sprintf("task %d is still under way: %+v", id, task)
		}
		return ""
	})
	if task.State != page.TaskDone {
		t.Fatalf("%s: %s: %+v", task.Action, task.Error, task.Lines)
	}
	return task
}

// press presses a button, waits for what happens, and wants a line with a key and with these
// values in its gaps.
func (v *visitor) press(t *testing.T, action, key string, want ...string) map[string]string {
	t.Helper()
	return wantLine(t, v.ended(t, v.begin(t, action, nil)), key, want...)
}

func wantLine(t *testing.T, task page.Task, key string, want ...string) map[string]string {
	t.Helper()
	for _, line := range task.Lines {
		if line.Key != key {
			continue
		}
		for i := 0; i < len(want); i += 2 {
			if line.Args[want[i]] != want[i+1] {
				t.Errorf("%s: %s has %q, want %s %q", task.Action, key, line.Args, want[i], want[i+1])
			}
		}
		return line.Args
	}
	t.Fatalf("%s: no line %s in %+v", task.Action, key, task.Lines)
	return nil
}

// wantPaid wants an answer that says of the order that it is paid. After a fault it may be the one
// to a second delivery: the broker did not take the first one, and the message came again.
func wantPaid(t *testing.T, task page.Task) {
	t.Helper()
	for _, line := range task.Lines {
		if line.Key == "did.answer.paid" ||
			line.Key == "did.answer.duplicate" && line.Args["first"] == "@outcome.paid" {
			return
		}
	}
	t.Fatalf("%s: no answer says that it is paid: %+v", task.Action, task.Lines)
}

// verdict waits until an audit that has ended since says this of the ledger, and of these rules.
func (v *visitor) verdict(t *testing.T, state string, rules ...string) {
	t.Helper()
	begin := time.Now()
	eventually(t, func() string {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.audit.At < begin.UnixMilli() {
			return "there was no audit since"
		}
		broken := map[string]bool{}
		for _, f := range v.audit.Findings {
			broken[f.Rule] = f.Violations > 0
		}
		for _, rule := range rules {
			if !broken[rule] {
				return fmt.Sprintf("%s is not violated: %+v", rule, v.audit)
			}
		}
		if v.audit.State != state {
			return fmt.Sprintf("the audit says %+v, want %s", v.audit, state)
		}
		return ""
	})
	t.Logf("the audit says %s %v after %.1f s", state, rules, time.Since(begin).Seconds())
}

// TestLab_Serve presses the buttons of the page and wants the effects that they announce.
func TestLab_Serve(t *testing.T) {
	t.Parallel()
	home := newHome(t)
	v, r := serveLab(t, home)
	for _, part := range []struct {
		name string
		play func(*testing.T, *visitor)
	}{
		{"Messages", pressMessages}, {"Quarantine", pressQuarantine}, {"Consumers", pressConsumers},
		{"Servers", pressServers}, {"WrongOrders", pressWrongOrders},
	} {
		t.Run(part.name, func(t *testing.T) { part.play(t, v) })
	}
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := r.status(t); got != statusInterrupted {
		t.Errorf("status %d, want %d", got, statusInterrupted)
	}
	if t.Failed() {
		t.Logf("the lab said:\n%s", r.out)
	}
	wantNothingLeft(t, home)
}

func pressMessages(t *testing.T, v *visitor) {
	v.press(t, page.ActSend, "did.answer.paid", "by", "@by.transaction")
	again := v.press(t, page.ActAgain, "did.answer.duplicate", "by", "@by.cache", "first", "@outcome.paid")
	v.press(t, page.ActFlush, "did.flushed")
	v.press(t, page.ActAgain, "did.answer.duplicate", "by", "@by.database", "serial", again["serial"])
	v.press(t, page.ActAltered, "did.answer.conflict", "serial", again["serial"])
	v.press(t, page.ActOverdraft, "did.answer.declined", "reason", "insufficient_funds")
	v.press(t, page.ActMalformed, "did.quarantined")
	lost := v.ended(t, v.begin(t, page.ActLost, nil))
	wantLine(t, lost, "did.lost")
	wantLine(t, lost, "did.answer.paid")
	wantLine(t, lost, "did.answer.duplicate")
	v.press(t, page.ActReplay, "did.replayed", "more", "0", "paid", "2")
	v.verdict(t, page.AuditOK)

	var story page.Story
	if err := json.Unmarshal([]byte(v.get(t, "/story/"+again["serial"])), &story); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(story.Why), `"status":"paid"`) || len(story.Deliveries) < 4 {
		t.Errorf("the story of %s is %s with %d deliveries", again["serial"], story.Why,
			len(story.Deliveries))
	}
}

func pressQuarantine(t *testing.T, v *visitor) {
	var open []struct {
		ID   int64  `json:"id"`
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal([]byte(v.get(t, "/quarantine")), &open); err != nil || len(open) != 2 {
		t.Fatalf("in quarantine: %+v, %v", open, err)
	}
	for i, action := range []string{page.ActQuarantineReplay, page.ActQuarantineDiscard} {
		id := strconv.FormatInt(open[i].ID, 10)
		if shown := v.get(t, "/quarantine/"+id); !strings.Contains(shown, "body_base64") {
			t.Errorf("message %s is shown as %s", id, shown)
		}
		wantLine(t, v.ended(t, v.begin(t, action, url.Values{"id": {id}})), "did.said")
	}
	eventually(t, func() string { // what was replayed is still wrong, and comes back
		if left := v.get(t, "/quarantine"); strings.Count(left, `"id"`) != 1 {
			return "in quarantine: " + left
		}
		return ""
	})
}

func pressConsumers(t *testing.T, v *visitor) {
	for _, action := range []string{page.ActKill, page.ActAdd} {
		if again := v.press(t, action, "did.cameAgain"); action == page.ActKill && again["n"] == "0" {
			t.Errorf("%s: nothing came again", action)
		}
	}
	v.press(t, page.ActRemove, "did.removed", "consumer", "C")
	v.press(t, page.ActRace, "did.raced", "paid", "1")
	cut := v.ended(t, v.begin(t, page.ActCut, nil))
	wantLine(t, cut, "did.cut")
	wantLine(t, cut, "did.answer.paid")
	v.verdict(t, page.AuditOK)
}

func pressServers(t *testing.T, v *visitor) {
	v.press(t, page.ActStopRedis, "did.stopped.redis")
	v.press(t, page.ActSend, "did.answer.paid")
	v.press(t, page.ActStartRedis, "did.started.redis")
	for stop, start := range map[string]string{
		page.ActStopMySQL: page.ActStartMySQL, page.ActStopBroker: page.ActStartBroker,
	} {
		v.ended(t, v.begin(t, stop, nil))
		waiting := v.begin(t, page.ActSend, nil)
		v.ended(t, v.begin(t, start, nil))
		wantPaid(t, v.ended(t, waiting))
	}
	v.verdict(t, page.AuditOK)
}

func pressWrongOrders(t *testing.T, v *visitor) {
	v.press(t, page.ActMessageID, "did.try.message-id")
	v.verdict(t, page.AuditOK)
	v.press(t, page.ActSend, "did.answer.paid")
	v.verdict(t, page.AuditOK)
	v.press(t, page.ActAgain, "did.answer.paid")
	v.verdict(t, page.AuditViolated, "I5")
	v.press(t, page.ActCheckAct, "did.try.check-then-act")
	v.verdict(t, page.AuditOK)
	if raced := v.press(t, page.ActRace, "did.raced"); raced["paid"] < "2" && len(raced["paid"]) == 1 {
		t.Errorf("the race was paid %s times", raced["paid"])
	}
	v.verdict(t, page.AuditViolated, "I5")
	v.press(t, page.ActCacheWas, "did.try.cache-first")
	v.verdict(t, page.AuditOK)
	v.press(t, page.ActCut, "did.answer.duplicate", "by", "@by.cache")
	v.verdict(t, page.AuditViolated, "I8")
	v.press(t, page.ActRight, "did.try.right")
	v.press(t, page.ActCut, "did.answer.paid")
	v.press(t, page.ActRace, "did.raced", "paid", "1")
	v.press(t, page.ActAgain, "did.answer.duplicate")
	v.verdict(t, page.AuditOK)
}
