package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"ramjet/accelerator/backend"
)

// How a request finds a backend that answers.

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
