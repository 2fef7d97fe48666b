package main

import (
	"bytes"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/ops"
)

// answer is what one run of "payment-consumer healthy" printed and returned.
type answer struct {
	Status      int
	Out, ErrOut string
}

func healthy(address string, args ...string) answer {
	var out, errOut bytes.Buffer
	a := &app{
		Streams: cli.Streams{Stdout: &out, Stderr: &errOut},
		environ: []string{"PAYMENT_OPS_ADDRESS=" + address, "HTTP_PROXY=http://127.0.0.1:1"},
	}
	root := a.command()
	root.SetArgs(append([]string{"healthy"}, args...))
	status := a.Report(root.Name(), root.Execute())
	return answer{Status: status, Out: out.String(), ErrOut: errOut.String()}
}

// serve starts the real ops server.
func serve(t *testing.T) (address string, health *ops.Health) {
	t.Helper()
	health = ops.NewHealth(time.Now, nil)
	server := ops.NewServer("127.0.0.1:0", health, ops.NewMetrics(ops.Build{}), zap.NewNop())
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shutdown(server); err != nil {
			t.Error(err)
		}
	})
	return server.Address(), health
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	address, health := serve(t)
	starting := healthy(address)
	database := health.Require("database")
	health.Optional("cache")
	check := func(want answer, args ...string) {
		t.Helper()
		if diff := cmp.Diff(want, healthy(address, args...)); diff != "" {
			t.Errorf("healthy %v (-want +got):\n%s", args, diff)
		}
	}

	if diff := cmp.Diff(answer{
		Status: 1, ErrOut: "payment-consumer: not ready: it is starting\n",
	}, starting); diff != "" {
		t.Errorf("without dependencies (-want +got):\n%s", diff)
	}
	database.Set(errors.New("refused\nby the server"))
	check(answer{Status: 1, ErrOut: "payment-consumer: not ready: " +
		"database is down (refused by the server), cache is down, which is allowed\n"})
	check(answer{Out: "alive\n"}, "--live")

	database.Set(nil)
	check(answer{Out: "ready: database is up, cache is down, which is allowed\n"})

	health.Drain()
	check(answer{Status: 1, ErrOut: "payment-consumer: not ready: it is stopping, " +
		"database is up, cache is down, which is allowed\n"})
}

// In a container the consumer listens on every address, and is asked on one: some systems do not
// connect to "every address".
func TestHealthTarget(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"0.0.0.0:9101": "localhost:9101", "[::]:9101": "localhost:9101",
		"127.0.0.1:9101": "127.0.0.1:9101", "payments.internal:80": "payments.internal:80",
	} {
		if got, err := healthTarget(address); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", address, got, err, want)
		}
	}
}

func TestHealthy_NoConsumer(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(nil) // answers 404 to everything
	t.Cleanup(other.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, address, want string
		status              int
	}{
		{"Nobody", listener.Addr().String(), "no answer from", cli.ExitFailed},
		{"SomebodyElse", other.Listener.Addr().String(), "404 Not Found", cli.ExitFailed},
		{"FreePort", "127.0.0.1:0", "takes a free port", cli.ExitUsage},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := healthy(test.address)
			if got.Status != test.status || !strings.Contains(got.ErrOut, test.want) ||
				strings.Count(got.ErrOut, "\n") != 1 {
				t.Errorf("got %+v, want status %d and one line with %q",
					got, test.status, test.want)
			}
		})
	}
}
