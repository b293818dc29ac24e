package site

import "net/http"

// refuse answers requests that nobody may see, neither the content nor the farm,
// and reports whether it did. What is malformed does not come this far: the
// connection refuses it.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case r.Method == http.MethodTrace:
		// TRACE sends a request's fields back, cookies included.
		s.refuseMethod(w, r, "TRACE is not allowed here.")
	case r.Method == http.MethodConnect:
		s.refuseMethod(w, r, "This is not a forward proxy.")
	case s.BodyBytes > 0 && r.ContentLength > s.BodyBytes:
		w.Header().Set("Connection", "close")
		s.ErrorPage(w, r, http.StatusRequestEntityTooLarge, "")
	default:
		return false
	}
	return true
}

func (s *Site) refuseMethod(w http.ResponseWriter, r *http.Request, why string) {
	w.Header().Set("Allow", s.allow())
	s.ErrorPage(w, r, http.StatusMethodNotAllowed, why)
}
