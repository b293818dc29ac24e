package site

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"ramjet/accelerator/accesslog"
)

// Logged is an http.Handler that adds a record to the access log for each request
// that another one answers: also those that it aborts, and tunnels when they end.
// While the log is off it costs nothing.
type Logged struct {
	Handler http.Handler
	Log     *accesslog.Shared
}

// ServeHTTP implements http.Handler.
func (l *Logged) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !l.Log.On() {
		l.Handler.ServeHTTP(w, r)
		return
	}
	a := &answer{ResponseWriter: w, bodiless: r.Method == http.MethodHead}
	start := time.Now()
	returned := false
	defer func() { // Also when the handler panics, which is how an answer is aborted.
		l.append(a, r, start, returned)
	}()
	l.Handler.ServeHTTP(a, r)
	returned = true
}

func (l *Logged) append(a *answer, r *http.Request, start time.Time, returned bool) {
	now := time.Now()
	if !a.began.IsZero() && a.began.Before(start) {
		start = a.began // A loop had it first.
	}
	record := accesslog.Record{
		Time: now.UnixNano(), Duration: now.Sub(start), Status: a.final(returned), Bytes: a.bytes,
		Method: []byte(r.Method), Target: []byte(r.RequestURI), Protocol: []byte(r.Proto), Host: []byte(r.Host),
		Referer: field(r, "Referer"), UserAgent: field(r, "User-Agent"), Forward: a.forward,
	}
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		record.Remote = remote.Addr()
	}
	l.Log.Append(&record)
}

// field returns the first value of a field, nil if there is none.
func field(r *http.Request, name string) []byte {
	if values := r.Header[name]; len(values) > 0 {
		return []byte(values[0])
	}
	return nil
}

// answer is the http.ResponseWriter that remembers what was sent. It can do what
// the one below can: flush, hijack, and send files by sendfile.
type answer struct {
	http.ResponseWriter
	bodiless bool // the answer to HEAD: net/http swallows its body

	status   int   // 0: not sent yet
	bytes    int64 // of the body
	hijacked bool

	forward accesslog.Forward
	began   time.Time // when the first backend was chosen; zero: none was
}

// Forwarded is told what became of a request that was passed on to the farm.
func (a *answer) Forwarded(f accesslog.Forward, began time.Time) { a.forward, a.began = f, began }

// final is the status that is logged. Who hijacks a connection writes its head
// itself: that of an upgrade.
func (a *answer) final(returned bool) int {
	switch {
	case a.status != 0:
		return a.status
	case !returned:
		return accesslog.StatusGone
	case a.hijacked:
		return http.StatusSwitchingProtocols
	default:
		return http.StatusOK // What net/http sends for a handler that says nothing.
	}
}

// WriteHeader remembers the first final status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// sent notes n bytes of the body, and the status that goes with a body before any.
func (a *answer) sent(n int64) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if !a.bodiless {
		a.bytes += n
	}
}

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) {
	n, err := a.ResponseWriter.Write(p)
	a.sent(int64(n))
	return n, err
}

// WriteString implements io.StringWriter.
func (a *answer) WriteString(s string) (int, error) {
	n, err := io.WriteString(a.ResponseWriter, s)
	a.sent(int64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom: the way of a file to sendfile. It does not go
// by io.Copy, which would ask the file first.
func (a *answer) ReadFrom(src io.Reader) (n int64, err error) {
	if below, ok := a.ResponseWriter.(io.ReaderFrom); ok {
		n, err = below.ReadFrom(src)
	} else {
		n, err = io.Copy(struct{ io.Writer }{a.ResponseWriter}, src)
	}
	a.sent(n)
	return n, err
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is Flush for http.ResponseController.
func (a *answer) FlushError() error {
	a.sent(0)
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	a.hijacked = err == nil
	return conn, rw, err
}

// Unwrap is for http.ResponseController: deadlines, full duplex.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// innermost returns the http.ResponseWriter of net/http itself.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}
