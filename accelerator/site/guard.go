package site

import (
	"net/http"
	"net/url"
)

// refuse answers requests that nobody may see, neither the content nor the farm,
// and reports whether it did. Malformed heads do not come this far: the
// connection refuses them.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method == http.MethodTrace:
		// TRACE sends a request's fields back, cookies included.
		s.refuseMethod(w, r, s.Farm != nil, "TRACE is not allowed here.")
	case r.Method == http.MethodConnect:
		s.refuseMethod(w, r, s.Farm != nil, "This is not a forward proxy.")
	case malformed(r.URL):
		w.Header().Set("Connection", "close")
		s.ErrorPage(w, r, http.StatusBadRequest, "The address is not one of this server.")
	case s.BodyBytes > 0 && r.ContentLength > s.BodyBytes:
		w.Header().Set("Connection", "close")
		s.ErrorPage(w, r, http.StatusRequestEntityTooLarge, "")
	default:
		return false
	}
	return true
}

func (s *Site) refuseMethod(w http.ResponseWriter, r *http.Request, farm bool, why string) {
	w.Header().Set("Allow", allow(farm))
	s.ErrorPage(w, r, http.StatusMethodNotAllowed, why)
}

// malformed tells whether a target in absolute-form (RFC 9112 §3.2.2) is not an
// http URI: it must have a host (RFC 9110 §4.2.1), and a user in it is there to
// deceive (§4.2.4).
func malformed(target *url.URL) bool {
	if target.Scheme == "" {
		return false
	}
	return target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || target.User != nil
}
