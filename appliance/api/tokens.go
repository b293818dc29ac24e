package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"ramjet/appliance/token"
	"ramjet/appliance/trial"
)

// Status is the answer to GET /status.
type Status struct {
	Box   any          `json:"box"`
	Trial *trial.Trial `json:"trial,omitempty"` // nil: none is on
}

func (s *Server) status(_ *Setting, w http.ResponseWriter, r *http.Request) {
	answer := Status{Box: s.Status(r.Context())}
	if t, on := s.Desk.Current(); on {
		answer.Trial = &t
	}
	reply(w, http.StatusOK, answer)
}

func (s *Server) health(_ *Setting, w http.ResponseWriter, r *http.Request) {
	if s.Health == nil {
		http.Error(w, "nobody knows", http.StatusServiceUnavailable)
		return
	}
	s.Health.ServeHTTP(w, r)
}

// NewToken is what is asked for, and Made what is answered.
type NewToken struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
}

// Made is a token that was made: the only time that it is shown.
type Made struct {
	token.Token
	Secret string `json:"token"`
}

func (s *Server) listTokens(_ *Setting, w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.Tokens.List())
}

func (s *Server) makeToken(_ *Setting, w http.ResponseWriter, r *http.Request) {
	var wanted NewToken
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wanted); err != nil {
		http.Error(w, `send {"name": "backup", "scopes": ["status"]}: `+err.Error(), http.StatusBadRequest)
		return
	}
	secret, made, err := s.Tokens.Make(wanted.Name, wanted.Scopes)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.Log.Info("a token was made", "id", made.ID, "name", made.Name, "scopes", made.Scopes, "by", who(r).name)
	reply(w, http.StatusCreated, Made{made, secret})
}

func (s *Server) revokeToken(_ *Setting, w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	err := s.Tokens.Revoke(id)
	switch {
	case errors.Is(err, token.ErrNone):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		s.Log.Info("a token was revoked", "id", id, "by", who(r).name)
		w.WriteHeader(http.StatusNoContent)
	}
}
