// Package http1 is the strict HTTP/1 edge in front of net/http.
//
// A Listener stands between TCP and an http.Server. Its connections check the
// framing of every request (RFC 9112) before net/http sees the bytes, and end
// what net/http would let wait for ever: a request body that stalls, a client
// that takes no byte of its answer. What is wrong is replaced by a malformed
// line, so that net/http itself answers 400, in its turn behind earlier
// pipelined answers, and closes; nothing behind it is ever parsed. The table
// Reasons has every rule.
//
//	l := &http1.Listener{TCPListener: tcp}
//	l.Attach(server)
//	server.Serve(l)
//
// The connections embed *net.TCPConn: sendfile, splice and CloseWrite go on working.
package http1

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// A Listener hands out checked connections. The fields are set before the
// first Accept or Attach and not changed afterwards.
type Listener struct {
	*net.TCPListener

	Limits Limits

	// Log gets a warning when accepting begins to fail. Nil means slog.Default.
	Log *slog.Logger

	// OnRefused, if it is set, is called for each request that net/http refuses
	// without a handler hearing of it, because of a Reason with an answer. It is
	// called while the connection is read, so it must not wait.
	OnRefused func(client netip.AddrPort, r Reason)

	Stats Stats

	once   sync.Once
	limits Limits        // with defaults
	slots  chan struct{} // one for each open connection; nil: no limit
	closed chan struct{}
	end    sync.Once
}

func (l *Listener) init() {
	l.once.Do(func() {
		l.limits = l.Limits.withDefaults()
		l.closed = make(chan struct{})
		if l.limits.MaxConns > 0 {
			l.slots = make(chan struct{}, l.limits.MaxConns)
		}
	})
}

// Attach makes s fit for this listener: its limits for head size, head time
// and idle time, and its ConnState hook, which still calls the one that s had.
// Without the hook connections that ask for an upgrade get stuck.
func (l *Listener) Attach(s *http.Server) {
	l.init()
	s.MaxHeaderBytes = l.limits.HeadBytes
	s.ReadHeaderTimeout = orNever(l.limits.HeadTime)
	s.IdleTimeout = orNever(l.limits.IdleTime)
	before := s.ConnState
	s.ConnState = func(c net.Conn, state http.ConnState) {
		l.ConnState(c, state)
		if before != nil {
			before(c, state)
		}
	}
}

// orNever turns "no limit" into what http.Server takes for it: its zero would
// mean ReadTimeout.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// ConnState is the hook for http.Server.ConnState: it tells a connection what
// became of a request that could have become a tunnel.
func (l *Listener) ConnState(nc net.Conn, state http.ConnState) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*conn)
	if !ok {
		return
	}
	switch state {
	case http.StateIdle:
		c.answered.Add(1)
	case http.StateHijacked:
		c.release()
	}
}

// The waits between failed attempts to accept.
const (
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = time.Second
)

// Accept waits for a slot, then for a connection. It returns an error,
// net.ErrClosed, only after Close: every other failure (no file descriptors, no
// memory, a client that went away) is counted and tried again after a wait.
func (l *Listener) Accept() (net.Conn, error) {
	l.init()
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	backoff := firstBackoff
	for {
		tcp, err := l.AcceptTCP()
		if err == nil {
			return l.newConn(tcp), nil
		}
		if errors.Is(err, net.ErrClosed) {
			l.freeSlot()
			return nil, net.ErrClosed
		}
		if l.Stats.AcceptErrors.Add(1); backoff == firstBackoff {
			l.logger().Warn("cannot accept connections, trying again", "error", err)
		}
		select {
		case <-time.After(backoff):
		case <-l.closed:
			l.freeSlot()
			return nil, net.ErrClosed
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// Close stops accepting. Connections stay open.
func (l *Listener) Close() error {
	l.init()
	l.end.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

func (l *Listener) freeSlot() {
	if l.slots != nil {
		<-l.slots
	}
}

func (l *Listener) logger() *slog.Logger {
	if l.Log != nil {
		return l.Log
	}
	return slog.Default()
}
