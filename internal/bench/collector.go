package bench

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// collector takes spans, as a collector of OpenTelemetry would, and forgets them.
type collector struct {
	listener net.Listener
	server   *http.Server
	ended    chan error
}

func newCollector() (*collector, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &collector{
		listener: listener, ended: make(chan error, 1),
		server: &http.Server{Handler: http.HandlerFunc(forget), ReadTimeout: time.Minute},
	}
	go func() { c.ended <- c.server.Serve(listener) }()
	return c, nil
}

// forget reads what was sent. The empty answer is a valid one.
func forget(w http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body) // whoever hangs up is not asked again
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Addr is where spans are sent, host and port.
func (c *collector) Addr() string { return c.listener.Addr().String() }

// Close ends the server.
func (c *collector) Close() error {
	err := c.server.Close()
	if ended := <-c.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
