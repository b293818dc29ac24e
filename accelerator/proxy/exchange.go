package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
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

// address is the backend's, for the log.
func (x *exchange) address() string {
	if x.backend == nil {
		return ""
	}
	return x.backend.URL.String()
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
