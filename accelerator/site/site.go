// Package site is the complete tier's handler: it asks the rules of each
// request, and answers it from the content, passes it on to the farm, or says
// why neither.
//
//	site.go      the way of a request      guard.go    requests refused at the door
//	answer.go    answers without a farm    page.go     error pages
//	explain.go   the same, in words       counters.go what became of requests
//	logged.go    a line of the access log for each request
package site

import (
	"net/http"
	"time"

	"ramjet/accelerator/content"
)

// Site serves one configuration. Immutable: a new configuration is a new Site.
type Site struct {
	Store *content.Store
	Rules *content.Rules

	// Farm answers what is not static. If it is nil, Site answers all by
	// itself; Rules.Farm must agree.
	Farm http.Handler

	// Server is the Server field of Site's own answers, "" for none.
	// Forwarded answers keep the backend's.
	Server string

	// BodyBytes is the largest request body that is accepted, 0 for any.
	BodyBytes int64

	// Counters are counted into, if set.
	Counters *Counters

	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !content.ClockPlausible(s.now()) {
		w.Header()["Date"] = nil // Keeps net/http from sending one.
	}
	if s.refuse(w, r) {
		s.count(Refused)
		return
	}
	decision := s.Rules.Decide(s.Store.Snapshot(), r.Method, r.RequestURI)
	s.countFailed(decision.Failed)
	if decision.Failed == nil {
		if s.static(w, r, decision.Object) {
			s.count(Static)
			return
		}
		s.count(Unreadable)
	}
	switch {
	case s.Farm != nil:
		s.count(Forwarded)
		s.forward(w, r)
	case decision.Failed == nil:
		// The file is there but its bytes are not: it is being replaced, or
		// its disk was pulled. Both end soon.
		w.Header().Set("Retry-After", "1")
		s.ErrorPage(w, r, http.StatusServiceUnavailable, "The file cannot be read at the moment.")
	default:
		s.count(Answered)
		s.answer(w, r, &decision)
	}
}

// forward passes the request on, its body bounded also where its length is not
// declared. The bound goes around a copy: net/http looks at the body of its own
// request to see whether the client still waits to be asked for it. And it knows
// net/http's own ResponseWriter alone as one whose connection it can close.
func (s *Site) forward(w http.ResponseWriter, r *http.Request) {
	if s.BodyBytes > 0 {
		bounded := *r
		bounded.Body = http.MaxBytesReader(innermost(w), r.Body, s.BodyBytes)
		r = &bounded
	}
	s.Farm.ServeHTTP(w, r)
}

func (s *Site) static(w http.ResponseWriter, r *http.Request, o *content.Object) bool {
	h := content.Handler{Rules: s.Rules, Server: s.Server, ErrorPage: s.plainPage}
	return h.Serve(w, r, o)
}

func (s *Site) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
