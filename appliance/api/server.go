// Package api is the box's port for people and programs: HTTPS, with the box's name and password or with a token. What it
// changes it tries: see package trial.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"ramjet/appliance/listening"
	"ramjet/appliance/release"
	"ramjet/appliance/token"
	"ramjet/appliance/trial"
)

// maxConnections bounds what strangers can occupy.
const maxConnections = 64

// Server is the task.
type Server struct {
	Listen   string // TCP address
	TLS      string // directory of the certificate
	Password Password
	Tokens   *token.Store
	Desk     *trial.Desk
	// Settings are what can be changed.
	Settings []Setting
	// Status is what GET /status shows beside the trial.
	Status func(ctx context.Context) any
	// Health answers GET /health. Nil: nobody knows.
	Health http.Handler
	// Releases are those of the site. Nil: nothing can be published.
	Releases *release.Store
	// Logs answers GET /logs and GET /logs/{name}, Flights GET /flights and GET /flights/{id}. Nil: there are none.
	Logs, Flights http.Handler
	// Asked, if there is one, sees what those who are let in ask for.
	Asked func(who string, next http.Handler) http.Handler
	Log   *slog.Logger // nil means slog.Default()

	login login
}

// Setting is a file that can be changed at a path that is its subject's name.
type Setting struct {
	*trial.Subject
	// Overruled, if there is one, says why a change would change nothing.
	Overruled func(ctx context.Context) error
}

// String names the task.
func (s *Server) String() string { return "api" }

// Run serves until ctx ends. That the port is taken is no reason to end: the rest of the box works.
func (s *Server) Run(ctx context.Context) error {
	if s.Log == nil {
		s.Log = slog.Default()
	}
	listener, err := listening.On(ctx, s.Listen, s.Log, "the API has no port yet")
	if err != nil {
		return nil // ctx has ended.
	}
	own := sync.OnceValues(func() (*tls.Certificate, error) { return certificate(s.TLS, s.Log) })
	made := time.AfterFunc(certificateTime, func() { _, _ = own() })
	defer made.Stop()
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10,
		ConnContext:    func(ctx context.Context, _ net.Conn) context.Context { return begun(ctx, time.Now()) },
		ErrorLog:       slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return own()
		}},
		Protocols: new(http.Protocols), // One request at a time on a connection: so the number of connections bounds the work.
	}
	server.Protocols.SetHTTP1(true)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err = server.ServeTLS(netutil.LimitListener(listener, maxConnections), "", "")
	if ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// certificateTime is when the certificate is made, or read, and its fingerprint logged, unless somebody connects before.
// The box has its addresses by then, and the start its processor.
const certificateTime = 10 * time.Second

type begunKey struct{}

func begun(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, begunKey{}, at)
}

// connected is when the connection of a request began.
func connected(r *http.Request) time.Time {
	at, _ := r.Context().Value(begunKey{}).(time.Time)
	return at
}

// Handler returns the API.
func (s *Server) Handler() http.Handler {
	s.login.password, s.login.tokens = s.Password, s.Tokens
	mux := http.NewServeMux()
	for _, c := range calls {
		for _, at := range s.paths(c) {
			serve := func(w http.ResponseWriter, r *http.Request) { c.serve(s, at.setting, w, r) }
			mux.Handle(c.Method+" "+at.path, s.login.require(at.scope, s.seen(serve)))
		}
	}
	// A page of another site could use the password that a browser remembers.
	return new(http.CrossOriginProtection).Handler(mux)
}

// seen lets Asked see a request.
func (s *Server) seen(next http.HandlerFunc) http.HandlerFunc {
	if s.Asked == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) { s.Asked(who(r).name, next).ServeHTTP(w, r) }
}

// flights answers with the flights that are kept, or with one.
func (s *Server) flights(_ *Setting, w http.ResponseWriter, r *http.Request) { show(s.Flights, w, r) }

// logs answers with the logs of the box, or with one.
func (s *Server) logs(_ *Setting, w http.ResponseWriter, r *http.Request) { show(s.Logs, w, r) }

// show has somebody else answer.
func show(page http.Handler, w http.ResponseWriter, r *http.Request) {
	if page == nil {
		http.NotFound(w, r)
		return
	}
	page.ServeHTTP(w, r)
}
