package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/payment/internal/order"
)

func TestServer_Page(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for language, title := range map[string]string{"en": "Payment lab", "zh": "支付实验室"} {
		w := f.request("GET", "/", "", func(r *http.Request) {
			r.Header.Set("Accept-Language", language+"-XX,fr;q=0.5")
		})
		page := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(page, "<title>"+title+"</title>") ||
			!strings.Contains(page, `lang="`+language+`"`) {
			t.Errorf("%s: status %d, page %.300s", language, w.Code, page)
		}
		for _, action := range Actions() {
			if action.Group != "" && !strings.Contains(page, `data-act="`+action.ID+`"`) {
				t.Errorf("%s: no button for %s", language, action.ID)
			}
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "<script>") {
			t.Error("the page has a script of its own, which the policy forbids, or a bad value")
		}
	}
	if page := f.request("GET", "/?lang=zh", "").Body.String(); !strings.Contains(page, `lang="zh"`) {
		t.Error("the switch does not win")
	}
}

func TestServer_Files(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, kind := range map[string]string{
		"/assets/app.js": "text/javascript", "/assets/style.css": "text/css",
	} {
		w := f.request("GET", path, "")
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: status %d, %q", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

func TestServer_Act(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.scene.act = func(_ context.Context, action string, _ Input, tell func(Line)) error {
		tell(Line{Key: "did.flushed"})
		if action == ActFlush {
			return errors.New("no Redis")
		}
		return nil
	}
	for _, test := range []struct {
		path, body string
		want       int
	}{
		{"/do/again", "serial=PAY_1", http.StatusAccepted},
		{"/do/flush", "", http.StatusAccepted},
		{"/do/rm", "", http.StatusNotFound},
		{"/do/again", "serial=PAY%20_1", http.StatusBadRequest},
		{"/do/quarantine-replay", "id=-3", http.StatusBadRequest},
		{"/do/again", "serial=" + strings.Repeat("A", maxForm), http.StatusBadRequest},
	} {
		if w := f.request("POST", test.path, test.body); w.Code != test.want {
			t.Errorf("%s %.30s: status %d, want %d: %s", test.path, test.body, w.Code, test.want, w.Body)
		}
	}
	f.Close()
	slices.Sort(f.scene.asked)
	if diff := cmp.Diff([]string{"again PAY_1", "flush"}, f.scene.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	frame, _ := f.state.Next(&Cursor{})
	states := map[string]string{}
	for _, task := range frame.Tasks {
		states[task.Action] = task.State + " " + task.Error
		if len(task.Lines) != 1 || task.Ended == 0 {
			t.Errorf("task %+v", task)
		}
	}
	if diff := cmp.Diff(map[string]string{"again": "done ", "flush": "failed no Redis"}, states); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if w := f.request("POST", "/do/send", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("after Close: status %d", w.Code)
	}
}

// Two actions that change what runs do not run at once, and not more than a few of the others.
func TestServer_ActBounds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.scene.act = func(ctx context.Context, _ string, _ Input, _ func(Line)) error {
		<-ctx.Done() // until Close
		return ctx.Err()
	}
	want := func(action string, status int) {
		t.Helper()
		if w := f.request("POST", "/do/"+action, ""); w.Code != status {
			t.Errorf("%s: status %d, want %d", action, w.Code, status)
		}
	}
	for range maxRunning - 1 {
		want(ActSend, http.StatusAccepted)
	}
	want(ActBurst, http.StatusAccepted)
	want(ActSend, http.StatusConflict)
	// What waits for a server does not keep it from being started.
	want(ActStartMySQL, http.StatusAccepted)
	want(ActAdd, http.StatusConflict)
}

// Its numbers would be those of both.
func TestServer_ActSingle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.scene.act = func(ctx context.Context, _ string, _ Input, _ func(Line)) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for _, want := range []int{http.StatusAccepted, http.StatusConflict} {
		if w := f.request("POST", "/do/burst", ""); w.Code != want {
			t.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
		}
	}
}

// What could only wait for a server would keep the button away that starts it.
func TestServer_ActNeeds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.state.SetServers([]Program{{Name: "mysql", State: Down}, {Name: "redis", State: Up}})
	for action, want := range map[string]int{
		ActRace: http.StatusConflict, ActRight: http.StatusConflict,
		ActSend: http.StatusAccepted, ActFlush: http.StatusAccepted,
	} {
		if w := f.request("POST", "/do/"+action, ""); w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", action, w.Code, want, w.Body)
		}
	}
}

// A new ledger answers nothing that was asked of the old one.
func TestServer_ActAnew(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	release := make(chan struct{})
	f.scene.act = func(ctx context.Context, action string, _ Input, _ func(Line)) error {
		if action == ActRight {
			<-release
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if w := f.request("POST", "/do/send", ""); w.Code != http.StatusAccepted {
		t.Fatalf("status %d", w.Code)
	}
	if w := f.request("POST", "/do/order-right", ""); w.Code != http.StatusAccepted {
		t.Fatalf("status %d", w.Code)
	}
	if w := f.request("POST", "/do/flush", ""); w.Code != http.StatusConflict {
		t.Errorf("something begins while the ledger is made: status %d", w.Code)
	}
	close(release)
	f.tasks.wait.Wait()
	frame, _ := f.state.Next(&Cursor{})
	states := map[string]string{}
	for _, task := range frame.Tasks {
		states[task.Action] = task.State
	}
	want := map[string]string{ActSend: TaskOff, ActRight: TaskDone}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

func TestServer_Story(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.state.Named(17, "B")
	f.state.Answered(answer("PAY_1", "M1", order.Paid), 0, 0)
	w := f.request("GET", "/story/PAY_1", "")
	var story Story
	if err := json.Unmarshal(w.Body.Bytes(), &story); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if string(story.Why) != `{"serial_no":"PAY_1"}` || len(story.Deliveries) != 1 ||
		story.Deliveries[0].Consumer != "B" {
		t.Errorf("story %s", w.Body)
	}
	for path, want := range map[string]int{
		"/story/PAY_BROKEN": http.StatusBadGateway, "/story/a%20b": http.StatusBadRequest,
		"/quarantine": http.StatusOK, "/quarantine/7": http.StatusOK,
		"/quarantine/x": http.StatusBadRequest, "/quarantine/0": http.StatusBadRequest,
	} {
		if w := f.request("GET", path, ""); w.Code != want {
			t.Errorf("%s: status %d, want %d", path, w.Code, want)
		}
	}
}

// A page gets a stream of events, each a line of JSON, and the server ends with its context.
func TestServer_Events(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- f.Serve(ctx, listener) }()
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	request, err := http.NewRequestWithContext(t.Context(), "GET",
		"http://"+listener.Addr().String()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.AddCookie(&http.Cookie{
		Name: cookieName(&http.Request{Host: listener.Addr().String()}), Value: testToken,
	})
	client := http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("port %d: Content-Type %q", port, kind)
	}
	lines := bufio.NewScanner(response.Body)
	next := func() Frame {
		t.Helper()
		var frame Frame
		lines.Scan()
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			t.Fatalf("line %q, %v", lines.Text(), lines.Err())
		}
		if err := json.Unmarshal([]byte(data), &frame); err != nil {
			t.Fatal(err)
		}
		if lines.Scan(); lines.Text() != "" {
			t.Fatalf("no empty line after an event, but %q", lines.Text())
		}
		return frame
	}
	if first := next(); !first.Fresh || first.Order != "right" || first.Counts == nil {
		t.Errorf("first frame %+v", first)
	}
	f.state.Sent("M1", "PAY_1\n<b>", 3, true)
	if second := next(); second.Fresh || len(second.Moves) != 1 || second.Moves[0].Queue != 3 {
		t.Errorf("second frame %+v", second)
	}
	unused, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unused.Close() }()
	stranger, err := client.Get("http://" + listener.Addr().String()) // is accepted after unused
	if err != nil {
		t.Fatal(err)
	}
	_ = stranger.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	client.CloseIdleConnections()
}

func TestServer_EventsBound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.streams.Store(maxStreams)
	if w := f.request("GET", "/events", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d", w.Code)
	}
	if n := f.streams.Load(); n != maxStreams {
		t.Errorf("%d streams are counted", n)
	}
}

// A quiet stream says from time to time that it is there.
func TestServer_EventsKeepAlive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.interval = keepAlive
	ctx, cancel := context.WithCancel(t.Context())
	w := f.request("GET", "/events", "", func(r *http.Request) {
		cancel() // after the first frame
		*r = *r.WithContext(ctx)
	})
	if body := w.Body.String(); !strings.HasPrefix(body, "data: {") || strings.Count(body, "\n\n") != 1 {
		t.Errorf("body %q", body)
	}
}
