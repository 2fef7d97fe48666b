package lab

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/payment/internal/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; no test needs it unless it fails.
const patience = 3 * time.Minute

const testToken = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// scene is a stage on which a test decides what happens.
type scene struct {
	mu    sync.Mutex
	asked []string
	act   func(ctx context.Context, action string, in Input, tell func(Line)) error
}

func (s *scene) Do(ctx context.Context, action string, in Input, tell func(Line)) error {
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimSpace(action+" "+in.Serial))
	s.mu.Unlock()
	if s.act == nil {
		return nil
	}
	return s.act(ctx, action, in, tell)
}

func (s *scene) Why(_ context.Context, serial string) ([]byte, error) {
	if serial == "PAY_BROKEN" {
		return nil, errors.New("the database is away")
	}
	return []byte(`{"serial_no":"` + serial + `"}`), nil
}

func (s *scene) Quarantine(_ context.Context, id int64) ([]byte, error) {
	if id == 0 {
		return []byte(`[{"id":7}]`), nil
	}
	return []byte(`{"id":7,"kind":"rejected"}`), nil
}

// lab is a server with a state and a scene.
type fixture struct {
	*Server
	state *State
	scene *scene
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{state: NewState(time.Now), scene: &scene{}}
	server, err := NewServer(Config{State: f.state, Stage: f.scene, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	server.interval = time.Millisecond
	f.Server = server
	t.Cleanup(server.Close)
	return f
}

// request is one from the page itself; change makes it another.
func (f *fixture) request(
	method, path, body string, change ...func(*http.Request),
) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:4999"+path, strings.NewReader(body))
	r.AddCookie(&http.Cookie{Name: "payment-lab-4999", Value: testToken})
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://127.0.0.1:4999")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set(tokenHeader, testToken)
	}
	for _, apply := range change {
		apply(r)
	}
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	return w
}

// answer is a result of a message, as a consumer with process number 17 sends it.
func answer(serial, message string, outcome order.Outcome) order.Result {
	return order.Result{
		OrderID: order.ID("O_" + serial), Serial: order.Serial(serial), Outcome: outcome,
		Duplicate: outcome == order.Duplicate, DecidedBy: "transaction", MessageID: message,
		Attempt: 1, Instance: "some-host-17-ABCDEFGHIJ",
		Steps: order.Steps{Cache: time.Millisecond, Commit: 3 * time.Millisecond},
	}
}
