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
//	l := &http1.Listener{Listener: tcp, Limiter: connlimit.New(10000, 0)}
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

	"ramjet/accelerator/connlimit"
)

// A Listener hands out checked connections. The fields are set before the
// first Accept or Attach and not changed afterwards.
type Listener struct {
	// Listener is where connections come from: a *net.TCPListener, or one whose
	// connections are Taken over from somebody who has read from them.
	net.Listener

	// Limiter counts the connections; needed. Those that are Taken over count
	// already. All are released here, at their end.
	Limiter *connlimit.Limiter

	Limits Limits

	// ProxyFrom are the networks of proxies whose connections begin with a header of
	// the PROXY protocol. The client that it names counts, for everything. A
	// connection of theirs without is closed: a client could have written it itself.
	ProxyFrom []netip.Prefix

	// HTTP2 lets connections through that begin with HTTP/2, for a server that
	// serves it unencrypted; without it such a beginning is malformed HTTP/1. The
	// limits of this package do not hold for them; the server is to have its own,
	// and to ask Check about each request.
	HTTP2 bool

	// Log gets a warning when accepting begins to fail. Nil means slog.Default.
	Log *slog.Logger

	// OnRefused, if it is set, is called for each request that net/http refuses
	// without a handler hearing of it, because of a Reason with an answer. It is
	// called while the connection is read, so it must not wait.
	OnRefused func(client netip.AddrPort, r Reason)

	Stats Stats

	once   sync.Once
	limits Limits        // with defaults
	free   chan struct{} // a slot may be free
	closed chan struct{}
	end    sync.Once
}

// Taken is a connection that somebody else accepted, and counted with the
// Limiter, and from which bytes may have been read that are still to be served.
type Taken interface {
	// Take returns the connection and the bytes, which the caller owns then.
	Take() (tcp *net.TCPConn, unread []byte)
}

func (l *Listener) init() {
	l.once.Do(func() {
		l.limits = l.Limits.withDefaults()
		l.closed = make(chan struct{})
		l.free = make(chan struct{}, 1)
		l.Limiter.OnFree(func() {
			select {
			case l.free <- struct{}{}:
			default:
			}
		})
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
	own, ok := l.Listener.(*net.TCPListener)
	if !ok {
		return l.takeOver()
	}
	for {
		if err := l.reserve(); err != nil {
			return nil, err
		}
		tcp, err := l.accept(own)
		if err != nil {
			l.Limiter.Cancel()
			return nil, err
		}
		if l.Limiter.Admit(l.counts(remote(tcp))) {
			l.Stats.Accepted.Add(1)
			return l.newConn(tcp, nil), nil
		}
		l.Stats.Crowded.Add(1)
		tcp.Close()
	}
}

// Origin returns the connection that one of a Listener was Taken from, nil if it
// was not.
func Origin(c net.Conn) net.Conn {
	if own, ok := c.(*conn); ok {
		return own.origin
	}
	return nil
}

// takeOver waits for a connection that somebody else accepted.
func (l *Listener) takeOver() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := l.newConn(nc.(Taken).Take())
	c.origin = nc
	if s, ok := nc.(interface{ Served() bool }); ok && s.Served() {
		c.begun = true
	}
	return c, nil
}

// reserve waits for a slot.
func (l *Listener) reserve() error {
	for !l.Limiter.Reserve() {
		select {
		case <-l.free:
		case <-l.closed:
			return net.ErrClosed
		}
	}
	return nil
}

func (l *Listener) accept(own *net.TCPListener) (*net.TCPConn, error) {
	backoff := firstBackoff
	for {
		tcp, err := own.AcceptTCP()
		if err == nil {
			return tcp, nil
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, net.ErrClosed
		}
		if l.Stats.AcceptErrors.Add(1); backoff == firstBackoff {
			l.logger().Warn("cannot accept connections, trying again", "error", err)
		}
		select {
		case <-time.After(backoff):
		case <-l.closed:
			return nil, net.ErrClosed
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// remote returns the client's address.
func remote(tcp *net.TCPConn) netip.Addr {
	return tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
}

// Close stops accepting. Connections stay open.
func (l *Listener) Close() error {
	l.init()
	l.end.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *Listener) logger() *slog.Logger {
	if l.Log != nil {
		return l.Log
	}
	return slog.Default()
}
