package proxy

import (
	"bufio"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// answerWriter is the client as ReverseProxy sees it. It is used by the
// goroutine of the handler; ReverseProxy sees to it that flushes by its timer
// and informational answers do not run beside a write.
type answerWriter struct {
	http.ResponseWriter
	in     *http.Request
	body   *clientBody   // nil: the request has none
	idle   time.Duration // for one Write; 0 is no limit
	preset http.Header   // fields that were set before us

	err      error // the first failure of a write to the client
	hijacked bool  // the connection was taken

	begun   atomic.Bool // the head of the final answer is on its way
	expired atomic.Bool // no write may wait any more
}

// init takes the fields out of w that others have set, for ReverseProxy would
// send them twice, or lose them with the first informational answer.
func (w *answerWriter) init(rw http.ResponseWriter, in *http.Request, body *clientBody, idle time.Duration) {
	w.ResponseWriter, w.in, w.body, w.idle = rw, in, body, idle
	if h := rw.Header(); len(h) > 0 {
		w.preset = maps.Clone(h)
		clear(h)
	}
}

// Unwrap is for http.ResponseController.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the head of an informational answer, or sets the head of the
// final one.
func (w *answerWriter) WriteHeader(status int) {
	h := w.Header()
	if status < 200 && status != http.StatusSwitchingProtocols {
		if !w.in.ProtoAtLeast(1, 1) || status == http.StatusContinue {
			// RFC 9110 §15.2. And net/http sends 100 by itself when the transport
			// begins to read the body, which is what the backend's 100 makes it do.
			return
		}
		for _, name := range connectionFields {
			delete(h, name)
		}
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.begun.Store(true)
	w.restore()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http guesses
	}
	w.ResponseWriter.WriteHeader(status)
	// What is here in the end under a name that was announced is sent as the trailer.
	// The fields of the head are on their way, and are none of it.
	for _, names := range h["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
}

// restore puts back the fields that were set before us and not by the backend,
// and closes the connection after an answer that came before the request's end.
func (w *answerWriter) restore() {
	h := w.Header()
	for name, values := range w.preset {
		if _, ok := h[name]; !ok {
			h[name] = values
		}
	}
	if w.body.unread() && w.in.ProtoMajor < 2 { // In HTTP/2 a stream ends by itself.
		h.Set("Connection", "close")
	}
}

// Write implements io.Writer.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.limit()
	n, err := w.ResponseWriter.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// FlushError is for http.ResponseController.
func (w *answerWriter) FlushError() error {
	w.limit()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if w.err == nil && !errors.Is(err, http.ErrNotSupported) {
		w.err = err
	}
	return err
}

// limit bounds the next write. The server takes the deadline away after the answer.
func (w *answerWriter) limit() {
	if w.idle > 0 {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.idle))
	}
	if w.expired.Load() { // Looked at after the deadline was set, for expire goes on beside us.
		w.noWait()
	}
}

// expire ends a write of the answer that waits, and those that follow. It may be
// called by another goroutine as long as the handler has not returned. A page that
// says so may still be written.
func (w *answerWriter) expire() {
	w.expired.Store(true)
	if w.begun.Load() {
		w.noWait()
	}
}

func (w *answerWriter) noWait() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// Hijack takes the client's connection for a tunnel. ReverseProxy reads from the
// connection alone, and so loses what the client sent right behind its request:
// that is handed over here. The fields that were set before us stay out of a 101.
func (w *answerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.hijacked = true
		if rw.Reader.Buffered() > 0 {
			conn = &earlyConn{Conn: conn, early: rw.Reader}
		}
	}
	return conn, rw, err
}

// abandon closes the connection with a reset. To a client of HTTP/1.0 the end of
// the connection is the end of the answer: an orderly one would make a whole
// answer out of a broken one.
func (w *answerWriter) abandon() {
	if w.hijacked || w.in.ProtoAtLeast(1, 1) {
		return
	}
	conn, _, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return
	}
	below := conn
	for {
		if c, ok := below.(interface{ SetLinger(int) error }); ok {
			_ = c.SetLinger(0)
			break
		}
		c, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		below = c.NetConn()
	}
	_ = below.Close() // not conn: TLS would say an orderly goodbye
	_ = conn.Close()
}

// earlyConn is a client's connection with octets that were read already.
type earlyConn struct {
	net.Conn
	early *bufio.Reader // nil when it is empty
}

// Read implements io.Reader.
func (c *earlyConn) Read(p []byte) (int, error) {
	if c.early == nil {
		return c.Conn.Read(p)
	}
	n, err := c.early.Read(p[:min(len(p), c.early.Buffered())])
	if c.early.Buffered() == 0 {
		c.early = nil
	}
	return n, err
}

// CloseWrite ends one direction of a tunnel.
func (c *earlyConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// answerBody is the body of an answer on its way from a backend. It ends one
// that stalls, and remembers whether reading failed.
type answerBody struct {
	io.ReadCloser
	idle  time.Duration // between two bytes; 0 is no limit
	stall func()        // makes a Read that waits fail
	timer *time.Timer
	err   error // the first failure of a read
}

// Read implements io.Reader. The clock runs only while the backend is waited
// for, not while the client is.
func (b *answerBody) Read(p []byte) (int, error) {
	switch {
	case b.idle == 0:
	case b.timer == nil:
		b.timer = time.AfterFunc(b.idle, b.stall)
	default:
		b.timer.Reset(b.idle)
	}
	n, err := b.ReadCloser.Read(p)
	if b.timer != nil {
		b.timer.Stop()
	}
	if err != nil && err != io.EOF && b.err == nil {
		b.err = err
	}
	return n, err
}
