// Package proxy forwards requests to the farm, unaltered.
//
// It is httputil.ReverseProxy over a backend.Pool, with what a front server
// needs beyond it: request targets byte for byte, the next backend when one
// cannot be reached, time limits between bytes, octets sent early on an upgrade,
// request trailers, and a count of every outcome.
//
//	proxy.go       Proxy: settings, checks, transport   exchange.go  one request from begin to end
//	target.go      request-target, byte for byte        fields.go    Via, upgrades, retries: what is altered
//	clientbody.go  the request's body                   answer.go    the answer's head and body
//	transport.go   the connections of each backend      failure.go   error -> status and event
//	dial.go        a connection to a backend            changes.go   what a route wants to be different
//	affinity.go    requests that belong together        explain.go   what would be sent, in words
//	identity.go    who asks, for the backend            limited.go   more than one client may
//	counters.go    the events, one table                greeting.go  who asks, before the first byte
//	attempt.go     what somebody else tried before      report.go    how it went, for the access log
//
// # What is altered
//
// RFC 9110 §7.6 obliges a proxy to drop hop-by-hop fields and to add Via. The
// forwarding fields (Forwarded, X-Forwarded-For, -Host, -Proto) of a client that
// is not Trusted are dropped, for anybody could have written them; those that
// Identity names are set anew.
// Expect and Upgrade of an HTTP/1.0 client, and Upgrade to h2c, are ignored, as
// RFC 9110 §10.1.1 and §7.8 demand or allow. Trailer fields of a request that
// have no business in a trailer are dropped. net/http spells field names
// canonically, sorts them, adds a Date to an answer without one, and leaves a
// Content-Length out of a 304.
//
// # What the server around it has to do
//
// The http.Server should set DisableGeneralOptionsHandler, or it answers
// "OPTIONS *" itself. Who wraps the http.ResponseWriter gives it an Unwrap method,
// or flushes, deadlines and upgrades are lost.
package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"ramjet/accelerator/backend"
)

// Defaults of the settings of Proxy that are zero.
const (
	DefaultConnectTimeout    = 5 * time.Second
	DefaultFirstByteTimeout  = 60 * time.Second
	DefaultIdleTimeout       = 60 * time.Second
	DefaultKeepAlive         = 4 * time.Second // less than the 5 s of Apache httpd
	DefaultMaxResponseHeader = 64 << 10
)

// Proxy is an http.Handler that forwards every request to a backend of Pool.
// The fields are settings: do not change them once it has served a request. For
// other settings make another Proxy and Close this one. A zero time is the
// default, a negative one means no limit.
type Proxy struct {
	// Pool has the backends. Required.
	Pool *backend.Pool

	// ConnectTimeout limits the making of a connection to one backend: TCP, and
	// for https the TLS handshake, each. When it has passed the next backend is
	// tried; after the last one the client gets 504.
	ConnectTimeout time.Duration

	// FirstByteTimeout limits the time from the last byte of the request to the
	// end of the answer's head. When it has passed the client gets 504.
	FirstByteTimeout time.Duration

	// IdleTimeout limits the time between two pieces of a body, in all four
	// places: read from the client (which gets 408), written to the backend (504),
	// read from the backend and written to the client (the answer is aborted). A
	// piece is at most 32 KiB. A quiet event stream is a stalled answer too.
	// Tunnels (after status 101) have no limit. It takes the place of the
	// http.Server's ReadTimeout and WriteTimeout for a request with a body, and
	// for an answer.
	IdleTimeout time.Duration

	// TotalTimeout limits the time from the beginning of the exchange to the last
	// byte of the answer; 0 is no limit. When it has passed the client gets 504, or
	// the answer is aborted. Tunnels and event streams have no end.
	TotalTimeout time.Duration

	// HTTP2 speaks HTTP/2 to the backends: to those of http at once, to those of
	// https if they agree in the handshake. Upgrades go by HTTP/1.1 all the same.
	HTTP2 bool

	// KeepAlive is how long an unused connection to a backend is kept. It should
	// be shorter than the backend's own time, for a POST that meets the end of
	// that time is not sent again, and the client gets 502.
	KeepAlive time.Duration

	// MaxResponseHeader limits the head of an answer, in bytes; 0 is
	// DefaultMaxResponseHeader. The client gets 502 instead of a longer one.
	MaxResponseHeader int64

	// Retries is to how many other backends an idempotent request with a small body
	// goes, one after the other, when a backend fails it before its answer has begun:
	// by no answer in time, too. The pool's budget bounds them all together.
	Retries int

	// Hold is how long a request waits for a backend to come back when none can be
	// connected to.
	Hold time.Duration

	// HashOn and HashName are what the key of a request is made of, for a pool whose
	// balance is by hash.
	HashOn   HashOn
	HashName string

	// StickyCookie is the name of a cookie that keeps a client with its backend; "" is
	// none. The proxy sets it, for the session of the browser.
	StickyCookie string

	// Identity is by which fields the backend learns of the client.
	Identity Identity

	// Trusted are the networks of proxies in front of us whose fields of that kind
	// are believed.
	Trusted []netip.Prefix

	// Greeting is what tells a backend of the client before each request, which has a
	// connection of its own then.
	Greeting Greeting

	// RewriteHost sends the address of the backend as Host. By default the
	// backend sees the Host that the client sent.
	RewriteHost bool

	// TLS is the configuration for https backends; nil verifies them against
	// the system's roots. The proxy takes ownership of it.
	TLS *tls.Config

	// ErrorPage answers a request that failed before any of the answer was sent;
	// nil is a plain text page. Fields that the caller of ServeHTTP has set are
	// in w's header; "Connection: close" in it is not to be removed. The status
	// is 4xx or 5xx, the reason a short English phrase without secrets.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int, reason string)

	// Log gets the cause of each failure, at debug level; nil is slog.Default().
	// Failures are counted, not reported one by one.
	Log *slog.Logger

	// Counters gets the count of every event; nil counts for nobody. Several
	// proxies may share one, as when one replaces another.
	Counters *Counters

	once       sync.Once
	transports transports
	errorLog   *log.Logger   // set by once
	idle       time.Duration // set by once; 0 is no limit
	buffers    buffers
}

// init makes what the first request needs.
func (p *Proxy) init() {
	if p.Log == nil {
		p.Log = slog.Default()
	}
	if p.Counters == nil {
		p.Counters = &Counters{}
	}
	if p.ErrorPage == nil {
		p.ErrorPage = plainErrorPage
	}
	if p.MaxResponseHeader <= 0 {
		p.MaxResponseHeader = DefaultMaxResponseHeader
	}
	p.errorLog = slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug)
	p.idle = limit(p.IdleTimeout, DefaultIdleTimeout)
}

// limit is the time limit that a setting means; 0 is none.
func limit(setting, otherwise time.Duration) time.Duration {
	if setting == 0 {
		setting = otherwise
	}
	return max(setting, 0)
}

// Close closes the unused connections to backends. Requests in flight go on,
// and their connections close when they end or soon after.
func (p *Proxy) Close() {
	p.once.Do(p.init)
	p.transports.close()
}

// CloseUnused closes the unused connections to a backend.
func (p *Proxy) CloseUnused(b *backend.Backend) { p.transports.closeThose(b) }

// Dial makes a connection to a backend, for somebody who speaks HTTP/1.1 himself. It is
// one of the net package, which has a descriptor to be taken.
func (p *Proxy) Dial(ctx context.Context, b *backend.Backend) (net.Conn, error) {
	p.once.Do(p.init)
	d := dialer{backend: b, connect: limit(p.ConnectTimeout, DefaultConnectTimeout)}
	return d.plain(ctx)
}

// ServeHTTP forwards r and its answer. When the answer breaks off it panics with
// http.ErrAbortHandler, so that the server closes the connection and the client
// does not take what it has for the whole.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.serve(w, r, &Changes{}) }

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request, changes *Changes) {
	p.once.Do(p.init)
	target, ok := OriginForm(r.Method, r.RequestURI)
	switch {
	case r.Method == http.MethodConnect:
		p.refuse(w, r, http.StatusNotImplemented, "this server is not a forward proxy")
	case !ok:
		p.refuse(w, r, http.StatusBadRequest, "the request target is malformed")
	case timesThrough(r.Header["Via"]) >= maxTimesThrough:
		p.refuse(w, r, http.StatusLoopDetected, "the request has been here before; a backend forwards to this server")
	default:
		p.forward(w, r, target, changes)
	}
}

// refuse answers a request that is not forwarded, and closes the connection.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, status int, reason string) {
	p.Counters.Add(Refused)
	reportRefused(w, Refused)
	w.Header().Set("Connection", "close")
	p.ErrorPage(w, r, status, reason)
}

// forward makes the exchange of a good request and runs it.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, target string, changes *Changes) {
	ctx, cancel := context.WithCancelCause(r.Context())
	if changes.Target != nil {
		target = changes.Target(target)
	}
	x := &exchange{proxy: p, in: r, target: target, changes: changes, cancel: cancel}
	if r.ContentLength != 0 {
		x.body = newClientBody(w, r, p.idle, &changes.Request)
	}
	x.w.init(w, r, x.body, p.idle)
	if p.TotalTimeout > 0 {
		x.total = time.AfterFunc(p.TotalTimeout, x.expire)
	}
	p.Counters.Begin()
	defer x.end()
	x.run(ctx)
	x.complete = true
}

// plainErrorPage is the ErrorPage of those who have none.
func plainErrorPage(w http.ResponseWriter, _ *http.Request, status int, reason string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strconv.Itoa(status)+" "+http.StatusText(status)+": "+reason+"\n")
}

// buffers is an httputil.BufferPool of the size that io.Copy uses.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
