package main

import (
	"context"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/config"
	"ramjet/accelerator/http1"
	"ramjet/accelerator/site"
)

// logPatience bounds the writing of the last lines of the access log.
const logPatience = 5 * time.Second

// logOptions are the settings of the access log.
func logOptions(c *config.Config) accesslog.Options {
	a := c.AccessLog
	o := accesslog.Options{
		To:          accesslog.Destination{File: a.To.File, Network: a.To.Network, Address: a.To.Address},
		RotateBytes: a.RotateBytes, RotateAge: a.RotateAge, KeepBytes: a.KeepBytes,
	}
	for f, info := range accesslog.Formats {
		if info.Name == a.Format {
			o.Format = accesslog.Format(f)
		}
	}
	return o
}

// startLog starts the writer of the access log. It is no task like the others, for
// it ends after them: the function that is returned writes what is left.
func (s *server) startLog() (end func()) {
	s.accessLog = accesslog.New(logOptions(s.config), s.log)
	s.logged = s.accessLog.NewShared()
	s.warnOfLog(s.config)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.accessLog.Run(ctx) // It is always nil.
	}()
	return func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(logPatience):
			s.log.Warn("the end of the access log could not be written in time", "waited", logPatience)
		}
	}
}

// setLog applies the settings of a reload, and opens the file again for whoever
// renamed it.
func (s *server) setLog(c *config.Config) {
	s.warnOfLog(c)
	s.accessLog.Set(logOptions(c))
}

// warnOfLog warns of a log inside of the site: each line is a change of it.
func (s *server) warnOfLog(c *config.Config) {
	file, root := c.AccessLog.To.File, c.Content.Root
	if file == "" || root == "" || c.AccessLog.Format == accesslog.Off.String() {
		return
	}
	if below, err := filepath.Rel(root, file); err == nil && !strings.HasPrefix(below, "..") {
		s.log.Warn("the access log lies inside of the site, which is read again after each line; choose another access_log.to", "to", file)
	}
}

// logRefused logs a request that net/http refuses before a handler hears of it.
// What it asked for is not known.
func (s *server) logRefused(client netip.AddrPort, r http1.Reason) {
	if s.logged.On() {
		s.logged.Append(&accesslog.Record{Time: time.Now().UnixNano(), Remote: client.Addr(), Status: r.Status()})
	}
}

// handler is the live site with the access log around it.
func (s *server) handler() http.Handler {
	live := func(w http.ResponseWriter, r *http.Request) { s.live.Load().site.ServeHTTP(w, r) }
	strict := &strict2{
		next: http.HandlerFunc(live), check: s.listener.Check, stall: s.config.Limits.StallTime,
		refuse: func(w http.ResponseWriter, r *http.Request, status int, reason string) {
			s.live.Load().site.ErrorPage(w, r, status, reason)
		},
	}
	return &site.Logged{Handler: strict, Log: s.logged}
}

// logMetrics registers what the access log counts.
func (s *server) logMetrics(counter func(name, help string, value func(accesslog.Stats) uint64)) {
	counter("access_log_lines_total", "Lines of the access log that were written.",
		func(n accesslog.Stats) uint64 { return n.Lines })
	counter("access_log_dropped_total", "Requests without a line: the writer was too slow, or the destination failed.",
		func(n accesslog.Stats) uint64 { return n.Dropped })
	counter("access_log_write_errors_total", "Attempts to open or write the access log that failed.",
		func(n accesslog.Stats) uint64 { return n.WriteErrors })
}
