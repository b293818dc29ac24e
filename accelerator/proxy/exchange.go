package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ramjet/accelerator/backend"
)

// flushInterval is how long a byte of an answer of known length may wait for
// company. Answers of unknown length and event streams do not wait.
const flushInterval = 10 * time.Millisecond

// exchange is one request and its answer. It is the ReverseProxy's hooks and
// its transport, and belongs to the goroutine of the handler.
type exchange struct {
	proxy   *Proxy
	in      *http.Request   // as received
	target  string          // for the backend
	changes *Changes        // never nil
	ctx     context.Context // of the attempts; cancelled with the reason why it ends early
	cancel  context.CancelCauseFunc
	total   *time.Timer // for the whole time; nil: no limit
	ending  sync.Mutex
	over    bool // guarded by ending
	w       answerWriter
	body    *clientBody // nil: the request has none
	answer  answerBody

	backend       *backend.Backend // that of the last attempt; nil before the first
	taken         bool             // the place there has not been given back yet
	http2         bool             // it may be one in HTTP/2
	connections   int              // how many the last attempt was given
	connected     bool             // it has the one that it asked for last
	conn          net.Conn         // the last of them
	reused        bool             // it had been used before
	forgone       bool             // it was closed as it was given, with nothing written
	waiting       atomic.Bool      // for the head of an answer
	informational int              // answers 1xx so far
	answered      bool             // the head of the answer has come
	tunnel        bool             // the answer was 101
	stayed        *backend.Backend // the backend that the client's cookie names, or nil
	held          bool             // it waited for a backend to come back
	strike        bool             // the answer was whole, but one that a backend in good order does not give

	course   course
	outcome  Event
	complete bool // nothing panicked
}

// run passes the request to a backend, and the answer to the client.
func (x *exchange) run(ctx context.Context) {
	x.ctx = ctx
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GetConn: x.getConn, GotConn: x.gotConn, Got1xxResponse: x.gotInformational})
	r := x.in.WithContext(ctx)
	r.Header = received(x.in)
	if x.body != nil {
		r.Body = x.body.again()
	}
	if !printable(upgrade(r.Header)) {
		x.fail(nil, nil, errUpgradeTo)
		return
	}
	rp := httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      x,
		FlushInterval:  flushInterval,
		ErrorLog:       x.proxy.errorLog,
		BufferPool:     &x.proxy.buffers,
		ModifyResponse: x.check,
		ErrorHandler:   x.fail,
	}
	rp.ServeHTTP(&x.w, r)
}

// end counts, whatever has happened: it runs in a panic too.
func (x *exchange) end() {
	if x.outcome == OK && (!x.complete || x.answer.err != nil || x.w.err != nil) && !x.tunnel {
		x.blame(x.aborted())
		x.proxy.Log.Debug("answer aborted", "event", x.outcome, "backend", x.address(), "error", x.answer.err)
		x.w.abandon()
	}
	x.report()
	c := x.proxy.Counters
	c.Add(x.outcome)
	c.Leave()
	if x.tunnel {
		c.Tunnel(-1)
		_ = x.conn.Close() // ReverseProxy forgets it where the client's cannot be taken
	}
	if x.backend != nil {
		x.judge()
		x.release()
		if x.backend.Draining() {
			x.proxy.CloseUnused(x.backend) // This one's, too.
		}
	}
	if b := unwrap(x.conn); b != nil {
		b.user.CompareAndSwap(x, nil)
	}
	x.endless()
	x.ending.Lock()
	x.over = true // The connection belongs to the next request.
	x.ending.Unlock()
	x.body.finish()
	x.cancel(nil)
}

// judge tells the pool how the backend did, if it had its chance.
func (x *exchange) judge() {
	switch {
	case x.outcome == OK && x.strike:
		x.ejecting(x.backend)
	case x.outcome == OK:
		x.backend.Served()
	}
}

// overloaded tells the answers that count as failures: they speak of the server,
// not of the request, as 501 and 505 do.
func overloaded(status int) bool {
	return status == http.StatusInternalServerError || 502 <= status && status <= 504
}

// failed counts a failure of a backend.
func (x *exchange) failed(b *backend.Backend) {
	b.Failures.Add(1)
	x.ejecting(b)
}

func (x *exchange) ejecting(b *backend.Backend) {
	if x.proxy.Pool.Failed(b) {
		until, _ := b.Ejected(time.Now())
		x.proxy.Log.Warn("backend failed too often, left out for a while", "backend", b.URL.String(), "until", until.UTC().Format(time.RFC3339))
	}
}

// address is the backend's, for the log.
func (x *exchange) address() string {
	if x.backend == nil {
		return ""
	}
	return x.backend.URL.String()
}

// RoundTrip implements http.RoundTripper: it tries one backend after the other,
// each once. A backend that could not be connected to has not seen the request,
// so there is always a next one. One that failed later may have acted on it: then
// only a request that may be repeated goes to another (RFC 9110 §9.2.2), a few
// times, and within the pool's budget.
func (x *exchange) RoundTrip(out *http.Request) (*http.Response, error) {
	pool, ctx := x.proxy.Pool, out.Context()
	choice := x.choice()
	made := takeAttempt(ctx)
	var b *backend.Backend
	if made == nil {
		var err error
		switch b, err = pool.Take(ctx, choice); {
		case err != nil:
			return nil, err
		case b == nil:
			return nil, errDrained
		}
	}
	began := time.Now()
	for repeats := 0; ; {
		var res *http.Response
		var err error
		if made != nil {
			b, err, made = made.Backend, x.adopt(made), nil
		} else {
			res, err = x.attempt(out, b)
		}
		if err == nil || ctx.Err() != nil {
			if err == nil {
				x.course.answers()
			}
			return res, err
		}
		if errors.Is(err, backend.ErrClientStalled) {
			return nil, err // It would stall any other as well.
		}
		x.release() // Who has to wait for the next one must not keep others from this one.
		seen := x.connected
		if seen && (repeats == x.proxy.Retries || !x.repeatable()) {
			return nil, err
		}
		if !seen {
			x.failed(b)
		}
		choice.Tried = append(choice.Tried, b)
		next, _ := pool.Take(ctx, choice)
		switch {
		case next == nil && !seen && x.hold(ctx, began):
			choice.Tried = choice.Tried[:0] // All of them anew.
			if next, _ = pool.Take(ctx, choice); next == nil {
				return nil, err
			}
		case next == nil:
			return nil, err
		case !seen:
			x.proxy.Counters.Add(FailedOver)
		case !pool.Retry():
			x.proxy.Counters.Add(RetryDenied)
			pool.Release(next)
			return nil, err
		default:
			repeats++
			x.failed(b)
			x.proxy.Counters.Add(Resent)
		}
		x.proxy.Log.Debug("trying another backend", "backend", x.address(), "error", err)
		b = next
	}
}

// hold waits for a backend to come back, if there is time left for that since the
// request began.
func (x *exchange) hold(ctx context.Context, began time.Time) bool {
	until := began.Add(x.proxy.Hold)
	if !time.Now().Before(until) {
		return false
	}
	if !x.held {
		x.held = true
		x.proxy.Counters.Add(Held)
	}
	return x.proxy.Pool.Await(ctx, until)
}

// repeatable tells whether a request that a backend may have acted on can be sent
// once more: its method is idempotent, and what was sent of its body is still here.
func (x *exchange) repeatable() bool {
	if !x.body.kept() {
		return false
	}
	switch x.in.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}

// release gives back the place at the backend of the last attempt.
func (x *exchange) release() {
	if x.taken {
		x.taken = false
		x.proxy.Pool.Release(x.backend)
	}
}

// attempt sends the request to a backend that was taken for it.
func (x *exchange) attempt(out *http.Request, b *backend.Backend) (*http.Response, error) {
	x.backend, x.taken, x.connections, x.connected = b, true, 0, false
	x.course.begin(time.Now())
	r := out.WithContext(x.named(out.Context()))
	r.URL = &url.URL{Scheme: b.Origin.Scheme, Host: b.Origin.Host}
	host := r.Host
	if host == "" {
		host = b.Origin.Host
	}
	setTarget(r.URL, x.target, host)
	x.http2 = x.proxy.HTTP2 && upgrade(r.Header) == ""
	transport := x.proxy.transport(b, x.http2)
	for {
		if r.Body != nil {
			r.Body = x.body.again()
		}
		x.waiting.Store(true)
		res, err := transport.RoundTrip(r)
		x.waiting.Store(false)
		if err == nil || r.Context().Err() != nil || !x.died(err) {
			return res, err
		}
	}
}

// died tells whether a request that failed is sent to the same backend on another
// connection: it was given one that could not be used, or a kept-alive one that died
// before its answer, which says nothing of the backend. Without a body the transport
// does that by itself.
func (x *exchange) died(err error) bool {
	if x.body == nil || !x.body.kept() {
		return false
	}
	return x.forgone || x.reused && x.connections == 1 && x.informational == 0 && x.repeatable() && dropped(err)
}

// dropped tells the errors of a connection that the other side has closed, and after
// it the transport, maybe while the request was being written.
func dropped(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

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

// expire ends an exchange whose whole time has passed. It is called by the timer.
func (x *exchange) expire() {
	x.ending.Lock()
	defer x.ending.Unlock()
	if !x.over {
		x.cancel(errTotal)
		x.body.expire()
		x.w.expire()
	}
}

// endless takes the limit of the whole time away.
func (x *exchange) endless() {
	if x.total != nil {
		x.total.Stop()
	}
}

// maxInformational is how many informational answers may come before the final
// one. There is no good reason for more than a few.
const maxInformational = 64

// gotInformational is told of each of them, after ReverseProxy, which passes it on.
func (x *exchange) gotInformational(int, textproto.MIMEHeader) error {
	if x.informational++; x.informational > maxInformational {
		return errFlood
	}
	return nil
}

// check looks at the head of an answer before any of it is sent. When it
// returns an error the answer's body is closed, and fail is called.
func (x *exchange) check(res *http.Response) error {
	x.changes.Response.apply(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.checkUpgrade(res)
	}
	if res.StatusCode < 200 {
		return fmt.Errorf("%w: %03d", errBadStatus, res.StatusCode)
	}
	x.answered = true
	if kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
		x.endless()
	}
	x.strike = overloaded(res.StatusCode)
	x.remember(res)
	res.Header.Add("Via", via(res.ProtoMajor, res.ProtoMinor))
	if res.Body != http.NoBody {
		x.answer = answerBody{ReadCloser: res.Body, idle: x.proxy.idle, stall: func() { x.cancel(errStalled) }}
		res.Body = &x.answer
	}
	return nil
}

// checkUpgrade looks at a 101, RFC 9110 §15.2.2. One that comes before the request is
// whole would make the rest of its body a part of the other protocol (§7.8).
func (x *exchange) checkUpgrade(res *http.Response) error {
	_, writable := res.Body.(io.Writer)
	asked, got := upgrade(res.Request.Header), upgrade(res.Header)
	if !writable || asked == "" || !strings.EqualFold(asked, got) {
		return fmt.Errorf("%w: %q, not %q", errUpgrade, got, asked)
	}
	if x.body.unread() {
		return fmt.Errorf("%w: %q, before it had the request", errUpgrade, got)
	}
	res.Header.Add("Via", via(res.ProtoMajor, res.ProtoMinor))
	x.tunnel = true
	x.endless()
	x.proxy.Counters.Tunnel(1)
	unlimit(x.conn)
	return nil
}

// printable reports whether a protocol's name can be a field's value.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
