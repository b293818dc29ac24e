package main

import (
	"net/http"
	"time"

	"ramjet/accelerator/config"
	"ramjet/accelerator/http1"
)

// What a client may make the server hold of the bodies that it sends by HTTP/2: of
// one that a slow backend does not take, and of all on a connection.
const (
	streamBuffer     = 256 << 10
	connectionBuffer = 1 << 20
)

// serveHTTP2 lets a server speak HTTP/2 to clients that begin with it, as gRPC does
// without TLS (RFC 9113 §3.3), within the limits of HTTP/1.
func serveHTTP2(server *http.Server, l *http1.Listener, limits *config.Limits) {
	if limits.Streams == 0 {
		return
	}
	l.HTTP2 = true
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          limits.Streams,
		MaxReceiveBufferPerStream:     streamBuffer,
		MaxReceiveBufferPerConnection: connectionBuffer,
		// A client that is gone, with a stream that nobody writes to.
		SendPingTimeout: limits.StallTime,
		PingTimeout:     limits.StallTime,
		// One that takes no byte of the connection. Of a stream: stallWriter.
		WriteByteTimeout: limits.StallTime,
	}
}

// strict2 is what the connections of HTTP/1 have in http1, for requests that came
// by HTTP/2.
type strict2 struct {
	next   http.Handler
	check  func(*http.Request) http1.Reason
	refuse func(w http.ResponseWriter, r *http.Request, status int, reason string)
	stall  time.Duration
}

// ServeHTTP implements http.Handler.
func (s *strict2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		s.next.ServeHTTP(w, r)
		return
	}
	w = &stallWriter{ResponseWriter: w, stall: s.stall}
	if why := s.check(r); why != http1.None {
		s.refuse(w, r, why.Status(), "")
		return
	}
	s.next.ServeHTTP(w, r)
}

// stallWriter ends an answer whose client takes none of it, which in HTTP/2 it can
// while it goes on with others (RFC 9113 §5.2).
type stallWriter struct {
	http.ResponseWriter
	stall time.Duration
}

// Write implements io.Writer.
func (w *stallWriter) Write(p []byte) (int, error) {
	w.limit()
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *stallWriter) FlushError() error {
	w.limit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *stallWriter) limit() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.stall))
}

// Unwrap is for http.ResponseController.
func (w *stallWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
