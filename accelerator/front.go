package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"time"

	"ramjet/accelerator/connlimit"
	"ramjet/accelerator/eventloop"
	"ramjet/accelerator/http1"
)

// front is the HTTP server task: the event loops, and behind them, or by itself if
// they are disabled, the complete tier.
type front struct {
	loops    *eventloop.Server // nil if they are disabled
	http     *http.Server
	listener net.Listener
	drain    time.Duration
	log      *slog.Logger
}

func (s *server) listen() (*front, error) {
	l := s.config.Limits
	limiter := connlimit.New(l.Connections, l.ConnectionsPerAddress)
	source, err := s.connections(limiter)
	if err != nil {
		return nil, listenError(s.config.Listen, err)
	}
	s.listener = &http1.Listener{
		Listener: source,
		Limiter:  limiter,
		Log:      s.log,
		Limits: http1.Limits{
			HeadBytes: l.HeadBytes, HeadTime: l.HeadTime, IdleTime: l.IdleTime,
			BodyStall: l.StallTime, WriteStall: l.StallTime,
		},
		ProxyFrom: s.config.ProxyProtocolFrom,
		OnRefused: s.logRefused,
	}
	server := &http.Server{
		Handler:  s.handler(),
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// OPTIONS * is a request like any other: the farm may answer it.
		DisableGeneralOptionsHandler: true,
	}
	server.ConnContext = attempted
	s.listener.Attach(server)
	serveHTTP2(server, s.listener, &l)
	return &front{loops: s.loops, http: server, listener: s.listener, drain: l.DrainTime, log: s.log}, nil
}

// connections opens the sockets and returns where the complete tier gets its
// connections from: the event loops, or the socket itself if they are disabled.
func (s *server) connections(limiter *connlimit.Limiter) (net.Listener, error) {
	if s.config.EventLoop.Disabled {
		var config net.ListenConfig
		config.SetMultipathTCP(false) // As the loops have it.
		return config.Listen(context.Background(), "tcp", s.config.Listen)
	}
	l := s.config.Limits
	loops := &eventloop.Server{
		Loops: s.config.EventLoop.Loops, Limiter: limiter, Log: s.log, AccessLog: s.accessLog, ProxyFrom: s.config.ProxyProtocolFrom,
		Limits: eventloop.Limits{HeadBytes: l.HeadBytes, HeadTime: l.HeadTime, IdleTime: l.IdleTime, StallTime: l.StallTime},
	}
	if err := loops.Listen(s.config.Listen); err != nil {
		return nil, err
	}
	// A loop takes one of the threads that Go runs code on for itself.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + loops.Loops)
	s.loops = loops
	s.loops.Show(s.live.Load().view(), s.live.Load().route())
	return loops.Handoff(), nil
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
	// Both tiers have the same time.
	bound := sync.OnceValue(func() context.Context {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.drain)
		context.AfterFunc(c, cancel)
		return c
	})
	drained := make(chan bool, 1)
	go func() { drained <- f.loops == nil || f.loops.Run(ctx, bound) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	f.log.Info("draining", "at_most", f.drain)
	f.http.SetKeepAlivesEnabled(false)
	finished := <-drained // They hand nothing off any more.
	if err := f.http.Shutdown(bound()); err != nil {
		finished = false
		f.http.Close()
	}
	if !finished {
		f.log.Warn("requests were still in flight and are cut", "waited", f.drain)
	}
	return nil
}
