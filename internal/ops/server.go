package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// Limits of the server. A CPU profile takes 30 seconds by default and has to fit the last one.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	idleTimeout   = 60 * time.Second
	writeTimeout  = 90 * time.Second
	scrapeTimeout = 10 * time.Second
	headerBytes   = 16 << 10
	scrapesAtOnce = 4
)

// Server serves health, metrics and, on a loopback address only, profiles.
type Server struct {
	address string
	health  *Health
	metrics *Metrics
	log     *zap.Logger
	level   http.Handler
	server  *http.Server
	bound   net.Addr
	done    chan struct{} // closed when the serving goroutine has ended
}

// NewServer makes a server that does not listen yet.
func NewServer(address string, health *Health, metrics *Metrics, log *zap.Logger) *Server {
	return &Server{address: address, health: health, metrics: metrics, log: log,
		done: make(chan struct{})}
}

// ServeLevel lets the log's level be read and changed on a loopback address. It is called before
// Start.
func (s *Server) ServeLevel(level http.Handler) { s.level = level }

// Start listens, so that a port that is taken is an error here, and serves until Shutdown.
// It may be called once.
func (s *Server) Start(ctx context.Context) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", s.address)
	if err != nil {
		return listenError(s.address, err)
	}
	s.bound = listener.Addr()
	s.server = &http.Server{
		Handler:           s.routes(isLoopback(s.bound)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          zap.NewStdLog(s.log),
	}
	go func() {
		defer close(s.done)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("health and metrics are no longer served", zap.Error(err))
		}
	}()
	return nil
}

// Address is where the server listens, with the real port when 0 was asked for.
func (s *Server) Address() string { return s.bound.String() }

// Shutdown ends the server: requests under way are finished until ctx ends. What is still connected
// then is cut off, which is no error: often it is a client that has asked for nothing yet, for whom
// the library waits as for a request under way. It waits for the serving goroutine. Without Start
// it does nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	err := s.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		s.log.Info("connections to health and metrics were cut off", zap.String("ops", s.Address()))
		err = s.server.Close()
	}
	<-s.done
	return err
}

// listenError names the setting, because the address alone does not say where to change it.
func listenError(address string, err error) error {
	const setting = "ops.address (PAYMENT_OPS_ADDRESS)"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: %s is taken by another program, perhaps another consumer; "+
			"stop it or choose another port (port 0 takes a free one)", setting, address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: no permission to listen on %s; choose a port above 1023",
			setting, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %s is not an address of this machine; use 127.0.0.1 or 0.0.0.0",
			setting, address)
	default:
		return fmt.Errorf("%s: cannot listen on %s: %w", setting, address, err)
	}
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// routes builds the handler. It is a mux of our own: importing pprof adds its pages to the
// default one, which nobody serves here.
func (s *Server) routes(private bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.Gather(), promhttp.HandlerOpts{
		ErrorLog:            zap.NewStdLog(s.log),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: scrapesAtOnce,
		Timeout:             scrapeTimeout,
	}))
	if private {
		// A profile shows the command line and costs time: not for everybody on the network.
		if s.level != nil {
			mux.Handle("GET /debug/log-level", s.level)
			mux.Handle("PUT /debug/log-level", s.level)
		}
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	report := s.health.Report()
	status := http.StatusOK
	if !report.Ready {
		status = http.StatusServiceUnavailable
	}
	respond(w, status, report)
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}
