package proxy

import (
	"net/http"
	"time"

	"ramjet/accelerator/accesslog"
	"ramjet/accelerator/backend"
)

// A Witness is a http.ResponseWriter that hears what became of a request that was
// to be forwarded, when it is over: once, from the goroutine of the handler. It may
// be wrapped by others that have Unwrap. began is when the first backend was chosen;
// zero: none was.
type Witness interface {
	Forwarded(f accesslog.Forward, began time.Time)
}

// report tells the witness, if there is one.
func report(w http.ResponseWriter, f accesslog.Forward, began time.Time) {
	for {
		if to, ok := w.(Witness); ok {
			to.Forwarded(f, began)
			return
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = wrapper.Unwrap()
	}
}

// reportRefused is for a request that nobody was asked about.
func reportRefused(w http.ResponseWriter, e Event) {
	report(w, accesslog.Forward{Event: []byte(e.String())}, time.Time{})
}

// course is how an exchange went on, for the report.
type course struct {
	first     time.Time     // when the first backend was chosen; zero: none was
	began     time.Time     // when the last one was
	asked     time.Time     // when it was asked for a connection
	connect   time.Duration // what that took; 0: it was kept from a request before, or there is none
	firstByte time.Duration // from began to the head of the answer; 0: there is none
	retries   int
}

// begin is for each backend that is tried. It is a retry behind the first.
func (c *course) begin(now time.Time) {
	if c.first.IsZero() {
		c.first = now
	} else {
		c.retries++
	}
	c.began, c.connect, c.firstByte = now, 0, 0
}

// adopt is for one that somebody else has tried.
func (c *course) adopt(a *backend.Attempt) {
	c.begin(a.Began)
	c.connect, c.retries = a.Connect, a.Retries
}

// connects is for each connection that the transport looks for.
func (c *course) connects() { c.asked, c.connect = time.Now(), 0 }

// connected is for each that it has.
func (c *course) connected(kept bool) {
	if c.connect = 0; !kept {
		c.connect = known(time.Since(c.asked))
	}
}

// answers is for the head of the answer.
func (c *course) answers() { c.firstByte = known(time.Since(c.began)) }

// known is a time that is not 0, which says that it is not known.
func known(d time.Duration) time.Duration { return max(d, 1) }

// report tells the witness how it went.
func (x *exchange) report() {
	f := accesslog.Forward{Connect: x.course.connect, FirstByte: x.course.firstByte, Retries: x.course.retries}
	if x.backend != nil {
		f.Backend, f.Duration = []byte(x.backend.String()), known(time.Since(x.course.began))
	}
	if x.outcome != OK {
		f.Event = []byte(x.outcome.String())
	}
	report(x.w.ResponseWriter, f, x.course.first)
}
