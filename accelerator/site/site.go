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

// Farm answers what is not static.
type Farm interface {
	// Route returns who of the farm answers a request, nil for nobody.
	Route(r *http.Request) http.Handler
	// Explain says in lines of words whom a request would go to and what would be
	// sent. The request has a method, a target and a host, no more.
	Explain(r *http.Request) string
}

// Site serves one configuration. Immutable: a new configuration is a new Site.
type Site struct {
	Store *content.Store
	Rules *content.Rules

	// Farm answers what is not static. If it is nil, or has nobody for a request,
	// Site answers by itself; Rules.Farm tells whether there is one.
	Farm Farm

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
	farm, rules := s.route(r)
	decision := rules.Decide(s.Store.Snapshot(), r.Method, r.RequestURI)
	s.countFailed(decision.Failed)
	if decision.Failed == nil {
		if s.static(w, r, rules, decision.Object) {
			s.count(Static)
			return
		}
		s.count(Unreadable)
	}
	switch {
	case farm != nil:
		s.count(Forwarded)
		s.forward(farm, w, r)
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

// route returns who of the farm answers a request if it is not static, nil for
// nobody, and the rules that tell whether it is.
func (s *Site) route(r *http.Request) (http.Handler, *content.Rules) {
	if s.Farm != nil {
		if farm := s.Farm.Route(r); farm != nil {
			return farm, s.Rules
		}
	}
	return nil, s.Rules.WithoutFarm()
}

// forward passes the request on, its body bounded also where its length is not
// declared. The bound goes around a copy: net/http looks at the body of its own
// request to see whether the client still waits to be asked for it. And it knows
// net/http's own ResponseWriter alone as one whose connection it can close.
func (s *Site) forward(farm http.Handler, w http.ResponseWriter, r *http.Request) {
	if s.BodyBytes > 0 {
		bounded := *r
		bounded.Body = http.MaxBytesReader(innermost(w), r.Body, s.BodyBytes)
		r = &bounded
	}
	farm.ServeHTTP(w, r)
}

func (s *Site) static(w http.ResponseWriter, r *http.Request, rules *content.Rules, o *content.Object) bool {
	h := content.Handler{Rules: rules, Server: s.Server, ErrorPage: s.plainPage}
	return h.Serve(w, r, o)
}

func (s *Site) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
