package api

import (
	"net/http"
	"strings"
)

// Call is one that the API answers. The README has the same table.
type Call struct {
	Method string
	Path   string // SETTING stands for each of them
	Scope  string // of tokens; SETTING as above, and owner for what takes the password
	serve  func(s *Server, at *Setting, w http.ResponseWriter, r *http.Request)
}

var calls = []Call{
	{"GET", "/status", "status", (*Server).status},
	{"GET", "/health", "status", (*Server).health},
	{"GET", "/logs", "status", (*Server).logs},
	{"GET", "/logs/{name}", "status", (*Server).logs},
	{"GET", "/flights", "status", (*Server).flights},
	{"GET", "/flights/{id}", "status", (*Server).flights},
	{"GET", "/SETTING", "SETTING", (*Server).get},
	{"PUT", "/SETTING", "SETTING", (*Server).put},
	{"POST", "/SETTING/confirm", "SETTING", (*Server).confirm},
	{"POST", "/SETTING/revert", "SETTING", (*Server).revert},
	{"GET", "/SETTING/history", "SETTING", (*Server).history},
	{"GET", "/SETTING/history/{id}", "SETTING", (*Server).entry},
	{"POST", "/SETTING/history/{id}/restore", "SETTING", (*Server).restore},
	{"GET", "/releases", "publish", (*Server).releases},
	{"PUT", "/releases", "publish", (*Server).publish},
	{"POST", "/releases/manifests", "publish", (*Server).announce},
	{"GET", "/releases/manifests/{hash}", "publish", (*Server).missing},
	{"POST", "/releases/contents", "publish", (*Server).receive},
	{"POST", "/releases/manifests/{hash}/commit", "publish", (*Server).commit},
	{"POST", "/releases/{id}/live", "publish", (*Server).flip},
	{"PUT", "/releases/keep", "publish", (*Server).keep},
	{"PUT", "/releases/assets", "publish", (*Server).assets},
	{"GET", "/tokens", owner, (*Server).listTokens},
	{"POST", "/tokens", owner, (*Server).makeToken},
	{"DELETE", "/tokens/{id}", owner, (*Server).revokeToken},
}

// Calls returns the table.
func Calls() []Call { return calls }

type place struct {
	path, scope string
	setting     *Setting
}

// paths are where a call is answered.
func (s *Server) paths(c Call) []place {
	if !strings.Contains(c.Path, "SETTING") {
		return []place{{c.Path, c.Scope, nil}}
	}
	var all []place
	for i := range s.Settings {
		name := s.Settings[i].Name
		all = append(all, place{strings.ReplaceAll(c.Path, "SETTING", name), name, &s.Settings[i]})
	}
	return all
}
