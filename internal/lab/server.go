package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"example.com/payment/internal/order"
)

// Limits of the server.
const (
	maxStreams    = 8
	frameInterval = 100 * time.Millisecond
	keepAlive     = 15 * time.Second
	writeLimit    = 10 * time.Second
	askLimit      = 20 * time.Second
	shutdownLimit = 2 * time.Second
	maxForm       = 4 << 10
	maxHeader     = 16 << 10
)

// Config says what a Server shows.
type Config struct {
	State *State
	Stage Stage
	// Token is what a browser must show once.
	Token string
	// Now is the clock; time.Now unless it is set.
	Now func() time.Time
}

// Server serves the page. Close ends what pages have asked for.
type Server struct {
	state    *State
	stage    Stage
	token    string
	tasks    *tasks
	page     *template.Template
	words    map[string]Catalogue
	streams  atomic.Int64
	interval time.Duration
}

// NewServer reads what is embedded.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if len(cfg.Token) < 16 {
		return nil, errors.New("lab: the token is too short to be one")
	}
	s := &Server{
		state: cfg.State, stage: cfg.Stage, token: cfg.Token, interval: frameInterval,
		words: map[string]Catalogue{},
	}
	for _, language := range Languages() {
		words, err := LoadCatalogue(language)
		if err != nil {
			return nil, err
		}
		s.words[language] = words
	}
	page, err := template.New("page.html").
		Funcs(template.FuncMap{"t": Catalogue(nil).Text}). // each page has its own
		ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	s.page = page
	s.tasks = newTasks(cfg.Stage, cfg.State, cfg.Now)
	return s, nil
}

// Close calls off the actions that are under way and waits for them.
func (s *Server) Close() { s.tasks.close() }

// Serve serves a listener until ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: writeLimit,
		// No ReadTimeout: it would end the streams, on which nobody sends any more.
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return ctx }, // ends the streams
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	err := server.Shutdown(closing)
	if err != nil && closing.Err() != nil {
		// Requests have had their time; and a browser connects before it asks, which the library
		// takes for a request.
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Handler is all that the server answers, behind its guard.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.servePage)
	mux.Handle("GET /assets/", s.files())
	mux.HandleFunc("GET /events", s.serveEvents)
	mux.HandleFunc("POST /do/{action}", s.serveAction)
	mux.HandleFunc("GET /story/{serial}", s.serveStory)
	mux.HandleFunc("GET /quarantine", s.serveQuarantine)
	mux.HandleFunc("GET /quarantine/{id}", s.serveQuarantine)
	return s.guard(mux)
}

// files serves scripts and styles, which are in the program.
func (s *Server) files() http.Handler {
	static, err := fs.Sub(assets, "assets/static")
	if err != nil {
		panic(err) // the name is a constant
	}
	return http.StripPrefix("/assets/", http.FileServerFS(static))
}

// pageData is what the page's template is given.
type pageData struct {
	Language  string
	Languages []string
	Groups    []string
	Actions   []Action
	Tour      []Stop
	Words     Catalogue
	Token     string
}

// step is one of the three steps, and the server that it asks.
type step struct{ ID, Server string }

// Steps are the three steps.
func (pageData) Steps() []step {
	return []step{{"cache", "redis"}, {"find", "mysql"}, {"commit", "mysql"}}
}

// StepNames are what the time of a delivery is divided into.
func (pageData) StepNames() []string { return []string{"wait", "cache", "find", "commit", "put"} }

// Outcomes are what can become of a message.
func (pageData) Outcomes() []string {
	return []string{"paid", "declined", "duplicate", "conflict", "rejected"}
}

// Most is how many actions may be under way besides one that is exclusive.
func (pageData) Most() int { return maxRunning }

// Action returns the action with an ID.
func (d pageData) Action(id string) Action {
	i := slices.IndexFunc(d.Actions, func(a Action) bool { return a.ID == id })
	return d.Actions[i]
}

// In returns the actions of a group.
func (d pageData) In(group string) []Action {
	var in []Action
	for _, a := range d.Actions {
		if a.Group == group {
			in = append(in, a)
		}
	}
	return in
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	language := chooseLanguage(r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	words := s.words[language]
	page, err := s.page.Clone()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var out bytes.Buffer
	err = page.Funcs(template.FuncMap{"t": words.Text}).Execute(&out, pageData{
		Language: language, Languages: Languages(), Groups: Groups(), Actions: Actions(),
		Tour: Tour(), Words: words, Token: s.token,
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", language)
	w.Header().Set("Vary", "Accept-Language")
	_, _ = out.WriteTo(w)
}

func (s *Server) serveAction(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(writeLimit))
	in, err := input(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, err := s.tasks.begin(r.PathValue("action"), in)
	switch {
	case errors.Is(err, errUnknownAction):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, errBusy), errors.Is(err, errTooMany), errors.Is(err, errDown):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.WriteHeader(http.StatusAccepted)
		s.answer(w, []byte(fmt.Sprintf(`{"task":%d}`, id)))
	}
}

// input reads what came along with an action, and takes nothing else than what it can be.
func input(r *http.Request) (in Input, err error) {
	if err := r.ParseForm(); err != nil {
		return in, err
	}
	if serial := r.PostForm.Get("serial"); serial != "" {
		if _, err := order.ParseSerial(serial); err != nil {
			return in, err
		}
		in.Serial = serial
	}
	if id := r.PostForm.Get("id"); id != "" {
		if in.ID, err = strconv.ParseInt(id, 10, 64); err != nil || in.ID < 1 {
			return in, errors.New("the ID is not the number of a message")
		}
	}
	return in, nil
}

func (s *Server) serveStory(w http.ResponseWriter, r *http.Request) {
	serial, err := order.ParseSerial(r.PathValue("serial"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askLimit)
	defer cancel()
	why, err := s.stage.Why(ctx, string(serial))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	text, err := json.Marshal(Story{Why: why, Deliveries: s.state.Of(string(serial))})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	s.answer(w, text)
}

func (s *Server) serveQuarantine(w http.ResponseWriter, r *http.Request) {
	var id int64
	if text := r.PathValue("id"); text != "" {
		var err error
		if id, err = strconv.ParseInt(text, 10, 64); err != nil || id < 1 {
			http.Error(w, "the ID is not the number of a message", http.StatusBadRequest)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), askLimit)
	defer cancel()
	text, err := s.stage.Quarantine(ctx, id)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	s.answer(w, text)
}

func (s *Server) answer(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
