package proxy

import "sync/atomic"

// Event is something that happens to a forwarded request. The events up to
// AllDrained are outcomes: each request ends in exactly one of them. The
// others come on the way.
type Event int

// The events. What they mean is said once, in the table below.
const (
	OK Event = iota
	Refused
	Limited
	NoConnection
	ConnectTimeout
	TLSTimeout
	FirstByteTimeout
	BadAnswer
	BackendAborted
	BackendStalled
	TotalTimeout
	ClientAborted
	ClientStalled
	ClientBodyBad
	QueueFull
	QueueTimeout
	AllDrained
	FailedOver
	Retried
	Resent
	RetryDenied
	Held
	NumEvents // how many there are
)

// events is the one place that names the events; metrics and documentation are
// made from it.
var events = [NumEvents]struct{ name, help string }{
	OK:               {"ok", "The whole answer was passed on; for an upgrade: the tunnel was closed."},
	Refused:          {"refused", "Not forwarded: malformed target, CONNECT, or a forwarding loop."},
	Limited:          {"limited", "Not forwarded: the client asked more than its route allows; answered 429."},
	NoConnection:     {"no_connection", "No backend could be connected to; answered 502."},
	ConnectTimeout:   {"connect_timeout", "No backend accepted a connection in time; answered 504."},
	TLSTimeout:       {"tls_timeout", "The backend accepted a connection, and did not agree on TLS in time; answered 504."},
	FirstByteTimeout: {"first_byte_timeout", "The backend sent no head of an answer in time; answered 504."},
	BadAnswer:        {"bad_answer", "The backend closed before its answer, or sent a malformed or too large head, or very many 1xx; answered 502."},
	BackendAborted:   {"backend_aborted", "The backend broke off inside the answer's body; the client's connection was closed."},
	BackendStalled:   {"backend_stalled", "The backend stopped sending inside the answer's body, or stopped reading the request's."},
	TotalTimeout:     {"total_timeout", "The time for the whole exchange had passed; answered 504, or the client's connection was closed."},
	ClientAborted:    {"client_aborted", "The client went away before it had the whole answer."},
	ClientStalled:    {"client_stalled", "The client stopped sending inside the request's body (answered 408), or stopped reading the answer."},
	ClientBodyBad:    {"client_body_bad", "The request's body was malformed (answered 400) or too large (answered 413)."},
	QueueFull:        {"queue_full", "All backends had as many requests as they may have, and the queue was full; answered 503."},
	QueueTimeout:     {"queue_timeout", "All backends had as many requests as they may have for too long; answered 503."},
	AllDrained:       {"all_drained", "All backends were drained; answered 503."},
	FailedOver:       {"failed_over", "A backend could not be connected to, and the next one was tried."},
	Retried:          {"retried", "A kept-alive connection died before a byte of answer, and the request was sent again."},
	Resent:           {"resent", "A backend failed an idempotent request before its answer began, and another one got it."},
	RetryDenied:      {"retry_denied", "A request would have gone to another backend, but the budget for that was spent."},
	Held:             {"held", "No backend could be connected to, and the request waited for one to come back."},
}

// String is the event's name as a metric's label: lower case and underscores.
func (e Event) String() string { return events[e].name }

// Help is a sentence for people.
func (e Event) Help() string { return events[e].help }

// IsOutcome reports whether e ends a request. The outcomes of all requests add
// up to their number.
func (e Event) IsOutcome() bool { return e <= AllDrained }

// Counters counts what happens to forwarded requests. The zero value is ready;
// it must not be copied. It is safe for use by any number of goroutines.
type Counters struct {
	events   [NumEvents]atomic.Uint64
	inFlight atomic.Int64
	tunnels  atomic.Int64
}

// Add counts an event.
func (c *Counters) Add(e Event) { c.events[e].Add(1) }

// Begin counts a request that is being forwarded, until Leave.
func (c *Counters) Begin() { c.inFlight.Add(1) }

// Leave is for the end of one that was counted by Begin.
func (c *Counters) Leave() { c.inFlight.Add(-1) }

// Tunnel counts a tunnel, 1 for one that is opened and -1 for one that is closed.
func (c *Counters) Tunnel(n int64) { c.tunnels.Add(n) }

// Count is the number of times that e has happened.
func (c *Counters) Count(e Event) uint64 { return c.events[e].Load() }

// InFlight is the number of requests being forwarded now, tunnels included.
func (c *Counters) InFlight() int64 { return c.inFlight.Load() }

// Tunnels is the number of open connections that were upgraded to another protocol.
func (c *Counters) Tunnels() int64 { return c.tunnels.Load() }
