package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"ramjet/accelerator/backend"
)

var (
	errStalled   = errors.New("the backend stopped sending inside the body of its answer")
	errBadStatus = errors.New("the backend sent an impossible status code")
	errTotal     = errors.New("the time for the whole exchange has passed")
	errFlood     = errors.New("the backend sent too many informational answers")
	errUpgrade   = errors.New("the backend changed to a protocol that was not asked for")
	errGone      = errors.New("the beginning of the request's body is gone")
	errDrained   = errors.New("all backends are drained")
	errUpgradeTo = errors.New("the client asked for a protocol with an impossible name")
)

// failure is what is done about an error.
type failure struct {
	event  Event
	status int    // for the client; 0: it is gone, or cannot be told
	reason string // for the client
}

// diagnose says what is to be done about an error before the head of an answer.
// Whoever failed first is to blame, and a client that fails takes the connection
// to the backend with it: so the client is looked at first.
func (x *exchange) diagnose(err error) failure {
	if x.expired() {
		return failure{TotalTimeout, http.StatusGatewayTimeout, "the whole of it took too long"}
	}
	if f, ok := x.clientFailure(); ok {
		return f
	}
	timeout := false
	if e := net.Error(nil); errors.As(err, &e) {
		timeout = e.Timeout()
	}
	switch {
	case errors.Is(err, backend.ErrQueueFull):
		return failure{QueueFull, http.StatusServiceUnavailable, "all servers are busy; please try again in a moment"}
	case errors.Is(err, backend.ErrQueueTime):
		return failure{QueueTimeout, http.StatusServiceUnavailable, "all servers were busy for too long; please try again in a moment"}
	case errors.Is(err, errDrained):
		return failure{AllDrained, http.StatusServiceUnavailable, "the servers are being worked on; please try again later"}
	case errors.Is(err, errUpgradeTo):
		return failure{Refused, http.StatusBadRequest, "the protocol to upgrade to is malformed"}
	case !x.connected && timeout && !errors.As(err, new(*net.OpError)) && !errors.Is(err, backend.ErrConnect): // The transport's own.
		return failure{TLSTimeout, http.StatusGatewayTimeout, "the backend did not agree on TLS in time"}
	case !x.connected && timeout:
		return failure{ConnectTimeout, http.StatusGatewayTimeout, "no backend accepted a connection in time"}
	case !x.connected:
		return failure{NoConnection, http.StatusBadGateway, "no backend could be connected to"}
	case errors.Is(err, backend.ErrClientStalled):
		return failure{ClientStalled, http.StatusRequestTimeout, "the request body did not arrive in time"}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, backend.ErrNotRead):
		return failure{BackendStalled, http.StatusGatewayTimeout, "the backend did not read the request in time"}
	case timeout:
		return failure{FirstByteTimeout, http.StatusGatewayTimeout, "the backend did not answer in time"}
	}
	return failure{BadAnswer, http.StatusBadGateway, "the backend sent no valid answer"}
}

// expired reports whether the exchange was ended because its whole time had passed.
func (x *exchange) expired() bool { return errors.Is(context.Cause(x.ctx), errTotal) }

// clientFailure says what is to be done about a failure of the client, if there
// was one.
func (x *exchange) clientFailure() (failure, bool) {
	var large *http.MaxBytesError
	err := x.body.failure()
	switch {
	case errors.As(err, &large):
		return failure{ClientBodyBad, http.StatusRequestEntityTooLarge, "the request body is too large"}, true
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure{ClientStalled, http.StatusRequestTimeout, "the request body did not arrive in time"}, true
	case x.body.wasWithdrawn():
		return failure{}, false
	case x.in.Context().Err() != nil:
		return failure{event: ClientAborted}, true
	case err == nil:
		return failure{}, false
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		return failure{event: ClientAborted}, true
	}
	return failure{ClientBodyBad, http.StatusBadRequest, "the request body is malformed"}, true
}

// fail is the ErrorHandler: nothing of an answer was sent yet.
func (x *exchange) fail(_ http.ResponseWriter, _ *http.Request, err error) {
	f := x.diagnose(err)
	x.blame(f.event)
	x.proxy.Log.Debug("request not forwarded", "event", f.event, "backend", x.address(), "error", err)
	if f.status == 0 || x.w.hijacked {
		panic(http.ErrAbortHandler)
	}
	clear(x.w.Header())
	x.w.restore()
	if f.status == http.StatusServiceUnavailable {
		x.w.Header().Set("Retry-After", "1") // seconds, RFC 9110 §10.2.3
	}
	x.proxy.ErrorPage(x.w.ResponseWriter, x.in, f.status, f.reason)
}

// aborted is the event of an answer that broke off.
func (x *exchange) aborted() Event {
	switch f, ok := x.clientFailure(); {
	case x.expired():
		return TotalTimeout
	case errors.Is(x.w.err, os.ErrDeadlineExceeded):
		return ClientStalled // net/http cancels the request then, too
	case ok:
		return f.event
	case x.w.err != nil:
		return ClientAborted
	case errors.Is(x.answer.err, errStalled):
		return BackendStalled
	}
	return BackendAborted
}

// blame sets the outcome, and counts it for the backend if it is to blame.
func (x *exchange) blame(e Event) {
	x.outcome = e
	switch e {
	case NoConnection, ConnectTimeout, TLSTimeout:
		// each backend that was tried has its count
	case TotalTimeout:
		if x.backend != nil && !x.answered && !x.body.unread() { // All waited for it.
			x.failed(x.backend)
		}
	case FirstByteTimeout, BadAnswer, BackendAborted, BackendStalled:
		x.failed(x.backend)
	}
}
