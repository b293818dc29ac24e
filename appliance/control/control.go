// Package control lets whoever has the box's password reach the accelerator's admin socket from the network: there is no
// shell on the box to do it from. The password is the one of updates over the air, and so is what it protects: who may
// replace the programs may steer them.
package control

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"

	"golang.org/x/net/netutil"

	"ramjet/appliance/access"
	"ramjet/appliance/listening"
	"ramjet/appliance/unixhttp"
)

// maxConnections bounds what strangers can occupy.
const maxConnections = 32

// Server is the task.
type Server struct {
	Listen string                  // TCP address
	Socket string                  // of the accelerator
	Access *access.Access          // who is let in
	Health http.Handler            // of GET /health; nil: the accelerator is asked
	Pages  map[string]http.Handler // what else this program answers, by pattern
	Log    *slog.Logger            // nil means slog.Default()
}

// String names the task.
func (s *Server) String() string { return "control" }

// Run serves until ctx ends. That the port is taken is no reason to end: the rest of the box works.
func (s *Server) Run(ctx context.Context) error {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	listener, err := listening.On(ctx, s.Listen, s.Log, "the admin socket cannot be reached from the network")
	if err != nil {
		return nil // ctx has ended.
	}
	server := &http.Server{
		Handler:           s.Access.Require(s.handler()),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(netutil.LimitListener(listener, maxConnections)); ctx.Err() == nil {
		return err
	}
	return nil
}

// handler is the table of what this program answers itself.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	if s.Health != nil {
		mux.Handle("/health", s.Health)
	}
	for pattern, page := range s.Pages {
		mux.Handle(pattern, page)
	}
	mux.Handle("/", s.proxy())
	return mux
}

// proxy has the accelerator answer.
func (s *Server) proxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "accelerator"
		},
		Transport: unixhttp.Transport(s.Socket),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the accelerator does not answer: "+err.Error(), http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}
