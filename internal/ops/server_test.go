package ops

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// serve starts a server on a free port and ends it with the test.
func serve(t *testing.T, address string) (*Server, *Health) {
	t.Helper()
	metrics := NewMetrics(Build{})
	health := NewHealth(time.Now, func(dependency string, problem error) {
		metrics.Ready(dependency, problem == nil)
	})
	s := NewServer(address, health, metrics, zap.NewNop())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, health
}

// get asks the server at its port on the loopback address.
func get(t *testing.T, s *Server, path string) (status int, body string) {
	t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.Address(), "[::]"), ":")
	url := "http://127.0.0.1:" + port + path
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestServer_Health(t *testing.T) {
	t.Parallel()
	s, health := serve(t, "127.0.0.1:0")
	database := health.Require("mysql")
	if status, _ := get(t, s, "/healthz"); status != http.StatusOK {
		t.Errorf("healthz answers %d", status)
	}
	status, body := get(t, s, "/readyz")
	var report Report
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusServiceUnavailable || report.Ready || len(report.Dependencies) != 1 {
		t.Errorf("readyz answers %d %s", status, body)
	}
	database.Set(nil)
	if status, body := get(t, s, "/readyz"); status != http.StatusOK ||
		!strings.Contains(body, `"ready":true`) {
		t.Errorf("readyz answers %d %s", status, body)
	}
	if status, body := get(t, s, "/metrics"); status != http.StatusOK ||
		!strings.Contains(body, `payment_ready{dependency="mysql"} 1`) ||
		!strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics answers %d %.200s", status, body)
	}
	if status, _ := get(t, s, "/"); status != http.StatusNotFound {
		t.Errorf("an unknown path answers %d", status)
	}
}

func TestServer_ProfilesOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]int{
		"127.0.0.1:0": http.StatusOK, "localhost:0": http.StatusOK, "0.0.0.0:0": http.StatusNotFound,
	} {
		s, _ := serve(t, address)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"} {
			if got, _ := get(t, s, path); got != want {
				t.Errorf("%s%s answers %d, want %d", address, path, got, want)
			}
		}
		if got, _ := get(t, s, "/healthz"); got != http.StatusOK {
			t.Errorf("%s/healthz answers %d", address, got)
		}
	}
}

func TestServer_PortTaken(t *testing.T) {
	t.Parallel()
	first, health := serve(t, "127.0.0.1:0")
	second := NewServer(first.Address(), health, NewMetrics(Build{}), zap.NewNop())
	err := second.Start(t.Context())
	want := "ops.address (PAYMENT_OPS_ADDRESS): " + first.Address() + " is taken by another program"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := second.Shutdown(t.Context()); err != nil {
		t.Errorf("a server that never started: %v", err)
	}
}

func TestServer_NotAnAddressOfThisMachine(t *testing.T) {
	t.Parallel()
	s := NewServer("192.0.2.1:0", nil, NewMetrics(Build{}), zap.NewNop())
	err := s.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is not an address of this machine") {
		t.Errorf("got %v", err)
	}
}

// The level of the log is for those who are on the machine.
func TestServer_LevelOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for address, private := range map[string]bool{"127.0.0.1:0": true, "0.0.0.0:0": false} {
		level := zap.NewAtomicLevel()
		s := NewServer(address, NewHealth(time.Now, nil), NewMetrics(Build{}), zap.NewNop())
		s.ServeLevel(level)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, port, _ := strings.Cut(strings.TrimPrefix(s.Address(), "[::]"), ":")
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut,
			"http://127.0.0.1:"+port+"/debug/log-level", strings.NewReader(`{"level":"debug"}`))
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if changed := level.Level() == zap.DebugLevel; changed != private {
			t.Errorf("%s: changed is %v, status %d", address, changed, response.StatusCode)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// When the time for the shutdown is over, whoever is still connected is cut off, and the program may
// end with status 0 all the same.
func TestServer_ShutdownCutsOff(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"NoRequestYet":    "",
		"RequestUnderWay": "GET /hangs HTTP/1.1\r\nHost: test\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.InfoLevel)
			s := NewServer("127.0.0.1:0", NewHealth(time.Now, nil), NewMetrics(Build{}), zap.New(core))
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			entered := make(chan struct{}, 1)
			s.server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hangs" {
					entered <- struct{}{}
					<-r.Context().Done()
				}
			})
			begin := time.Now()
			conn, err := net.Dial("tcp", s.Address())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if request == "" {
				get(t, s, "/") // is accepted after conn
			} else {
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				<-entered
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Errorf("got %v", err)
			}
			// After five seconds the library minds an unused connection no more.
			forgotten := request == "" && time.Since(begin) > 5*time.Second
			if n := logs.FilterMessageSnippet("cut off").Len(); n != 1 && !(n == 0 && forgotten) {
				t.Errorf("logged: %v", logs.All())
			}
			if answer, err := io.ReadAll(conn); len(answer) != 0 {
				t.Errorf("answered: %q, %v", answer, err)
			}
		})
	}
}
