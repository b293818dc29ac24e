package proxy

import (
	"crypto/tls"
	"net"
	"net/http/httptrace"
)

// The connections that a request is given, as the transport tells of them.

// getConn is told that the transport wants a connection. Those that it had before
// died, and it would not want another if the backend could have seen the request.
func (x *exchange) getConn(string) {
	x.connected, x.forgone = false, false
	x.course.connects()
}

// gotConn is told of each connection that the transport uses for an attempt. One
// that it had kept, and on which something has come since, is closed here with
// nothing written, and the next is taken.
//
// A second one means that the first, a kept-alive one, died before a byte of
// answer and that the request is sent again. It is sent on a new connection,
// for the others of that age may be dead too, and one request must not kill one
// worker of the backend after the other.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.connected, x.conn, x.reused = true, info.Conn, info.Reused
	kept := info.Reused && !isHTTP2(info.Conn, x.http2)
	b := unwrap(info.Conn)
	if kept && b != nil && !b.silent() {
		x.forgo()
		return
	}
	if b != nil && !isHTTP2(info.Conn, x.http2) {
		b.user.Store(x)
	}
	x.course.connected(info.Reused)
	if !info.Reused {
		x.proxy.Pool.Reached()
	}
	if x.connections++; x.connections == 2 {
		x.course.retries++
		x.proxy.Counters.Add(Retried)
	}
	if x.connections > 1 && kept {
		x.forgo()
	}
}

// cutOff is told that a connection was closed which x had. If x waits for an answer, there
// will be none: then nobody waits for the rest of the request's body either, unless it is
// for another backend.
func (x *exchange) cutOff() {
	if x.waiting.Load() && !x.repeatable() {
		x.body.withdraw()
	}
}

// forgo closes a connection that was given, and keeps the request's body out of it.
func (x *exchange) forgo() {
	x.forgone = true
	x.body.withhold()
	_ = x.conn.Close()
}

// isHTTP2 reports whether a connection is one of HTTP/2, which others use at the
// same time.
func isHTTP2(c net.Conn, wanted bool) bool {
	if t, ok := c.(*tls.Conn); ok {
		return t.ConnectionState().NegotiatedProtocol == "h2"
	}
	return wanted
}
