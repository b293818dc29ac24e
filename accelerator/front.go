package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"ramjet/accelerator/http1"
)

// front is the HTTP server task.
type front struct {
	http     *http.Server
	listener net.Listener
	drain    time.Duration
	log      *slog.Logger
}

func (s *server) listen() (*front, error) {
	l := s.config.Limits
	tcp, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return nil, listenError(s.config.Listen, err)
	}
	s.listener = &http1.Listener{
		TCPListener: tcp.(*net.TCPListener),
		Log:         s.log,
		Limits: http1.Limits{
			MaxConns: l.Connections, HeadBytes: l.HeadBytes, HeadTime: l.HeadTime, IdleTime: l.IdleTime,
			BodyStall: l.StallTime, WriteStall: l.StallTime,
		},
		OnRefused: s.logRefused,
	}
	server := &http.Server{
		Handler:  s.handler(),
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// OPTIONS * is a request like any other: the farm may answer it.
		DisableGeneralOptionsHandler: true,
	}
	s.listener.Attach(server)
	return &front{http: server, listener: s.listener, drain: l.DrainTime, log: s.log}, nil
}

func listenError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program; end it or choose another address with -listen", address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s: %w; ports below 1024 need root or CAP_NET_BIND_SERVICE", address, err)
	default:
		return err
	}
}

// String names the task.
func (f *front) String() string { return "http server" }

// Run serves until ctx ends, then lets requests in flight finish, for a bounded
// time.
func (f *front) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- f.http.Serve(f.listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	f.log.Info("draining", "at_most", f.drain)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.drain)
	defer cancel()
	if err := f.http.Shutdown(bounded); err != nil {
		f.log.Warn("requests were still in flight and are cut", "waited", f.drain)
		f.http.Close()
	}
	return nil
}
