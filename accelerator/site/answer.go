package site

import (
	"net/http"

	"ramjet/accelerator/content"
)

// answer says what a request gets that is not static when there is no farm.
func (s *Site) answer(w http.ResponseWriter, r *http.Request, d *content.Decision) {
	status := refusal(d, r.Method)
	switch status {
	case http.StatusNoContent:
		w.Header().Set("Allow", allow(false))
		s.own(w)
		w.WriteHeader(status)
	case http.StatusMethodNotAllowed:
		s.refuseMethod(w, r, false, "")
	default:
		s.ErrorPage(w, r, status, s.whyNot())
	}
}

// refusal is the status for a request that fails the rules, without a farm.
func refusal(d *content.Decision, method string) int {
	switch d.Failed.Number {
	case 0:
		if method == http.MethodOptions {
			return http.StatusNoContent
		}
		if d.Object != nil {
			return http.StatusMethodNotAllowed
		}
		return http.StatusNotFound
	case 4, 5:
		return http.StatusForbidden
	default:
		// A path that is dynamic may name a program: not even its existence
		// is anybody's business.
		return http.StatusNotFound
	}
}

func (s *Site) whyNot() string {
	if s.Store.Snapshot().Files == 0 {
		return "This server has no site yet. On a Ramjet box: plug in a disk with the label RAMJET and your site on it."
	}
	return ""
}

// allow lists the methods that have a chance to be answered.
func allow(farm bool) string {
	if farm {
		return "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	}
	return "GET, HEAD, OPTIONS"
}

// own marks an answer as ours.
func (s *Site) own(w http.ResponseWriter) {
	if s.Server != "" {
		w.Header()["Server"] = []string{s.Server}
	}
}
