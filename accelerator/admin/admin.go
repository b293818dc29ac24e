// Package admin is the Unix socket through which the box, and people on it, ask
// the accelerator questions and have it reload. It speaks HTTP:
//
//	GET  /status           what is served, from where, since when (JSON)
//	GET  /metrics          Prometheus text format
//	GET  /explain?url=URL  why a URL is static or not, and who gets it if not (text)
//	POST /reload           read the configuration and the content again (text)
//	GET   /backends        who of the farm is to get requests (JSON)
//	PATCH /backends        change that
//	GET   /farm            who is behind, and how requests get there (JSON)
//	PUT   /farm            replace that; PATCH changes it, DELETE goes back to the configuration's
//	GET  /debug/pprof/     profiles, for `go tool pprof`
//
// Whoever may open the socket may do all of this: its mode, 0660, is the lock.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server is the task that listens on the socket. All fields must be set.
type Server struct {
	Socket  string // path of the Unix socket
	Metrics prometheus.Gatherer
	Log     *slog.Logger

	Status  func() any                                // marshalled as JSON
	Explain func(url string) (string, error)          // the error is about the URL
	Reload  func(ctx context.Context) (string, error) // the text says what happened

	// Backends returns the state of the live backends; SetBackends changes that of
	// the ones named, or returns why none is changed.
	Backends    func() Backends
	SetBackends func(Backends) error

	// Farm returns the farm in force; ChangeFarm puts another to work and returns it, or
	// why nothing changed.
	Farm       func() []byte
	ChangeFarm func(FarmChange) ([]byte, error)

	listener net.Listener
	changing sync.Mutex // held from a look at the state to its change
}

// String names the task.
func (s *Server) String() string { return "admin socket" }

// Listen takes the socket. A socket that a dead process left is removed; one that
// a living process listens on is an error.
func (s *Server) Listen() error {
	if err := os.MkdirAll(filepath.Dir(s.Socket), 0o755); err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	listener, err := net.Listen("unix", s.Socket)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(s.Socket); err != nil {
			return fmt.Errorf("admin socket %s: %w", s.Socket, err)
		}
		listener, err = net.Listen("unix", s.Socket)
	}
	if err != nil {
		return fmt.Errorf("admin socket: %w", err)
	}
	if err := os.Chmod(s.Socket, 0o660); err != nil {
		listener.Close()
		return fmt.Errorf("admin socket: %w", err)
	}
	s.listener = listener
	return nil
}

// removeStale removes a socket that nobody answers on, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return errors.New("something that is not a socket has that name")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return errors.New("another accelerator listens there")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Run serves until ctx ends. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin socket: %w", err)
	}
	return nil
}

// Handler returns the API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.status)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /explain", s.explain)
	mux.HandleFunc("POST /reload", s.reload)
	mux.HandleFunc("GET /backends", s.backends)
	mux.HandleFunc("PATCH /backends", s.patchBackends)
	mux.HandleFunc("GET /farm", s.getFarm)
	mux.HandleFunc("PUT /farm", s.changeFarm)
	mux.HandleFunc("PATCH /farm", s.changeFarm)
	mux.HandleFunc("DELETE /farm", s.changeFarm)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	text, err := json.MarshalIndent(s.Status(), "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n'))
}

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	url := r.URL.Query().Get("url")
	if url == "" {
		http.Error(w, "explain what? GET /explain?url=/index.html", http.StatusBadRequest)
		return
	}
	text, err := s.Explain(url)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprint(w, text)
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	text, err := s.Reload(r.Context())
	if err != nil {
		http.Error(w, "not reloaded, the old state stays: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, text)
}
