package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"ramjet/appliance/trial"
)

// MaxText is the largest text of a setting, in bytes.
const MaxText = 1 << 20

// The time to confirm a change: without another wish, and the bounds of wishes.
const (
	Within     = time.Minute
	MinWithin  = 5 * time.Second
	MostWithin = time.Hour
)

// Answer is that to a change.
type Answer struct {
	Trial *trial.Trial `json:"trial,omitempty"` // nil: nothing was changed
	Diff  string       `json:"diff"`
	Next  string       `json:"next"` // what to do
}

// Entry is one of the history, with its text; null if it was that there is no such file.
type Entry struct {
	trial.Entry
	Text *string `json:"text"`
}

func tag(text []byte) string { return `"` + strconv.FormatUint(xxhash.Sum64(text), 16) + `"` }

// get answers with the file as it is. One that is not there is empty, which means the same.
func (s *Server) get(at *Setting, w http.ResponseWriter, r *http.Request) {
	text, err := s.Desk.Read(at.Subject)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if t, on := s.Desk.Current(); on && t.Subject == at.Name {
		w.Header().Set("Ramjet-Trial", string(t.State))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("ETag", tag(text))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text)
}

// put tries a text.
func (s *Server) put(at *Setting, w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxText))
	if errors.As(err, new(*http.MaxBytesError)) {
		http.Error(w, fmt.Sprintf("longer than %d bytes", MaxText), http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "not read: "+err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get("If-Match") == "" {
		http.Error(w, "which text did you see? Send its ETag (GET /"+at.Name+") as If-Match, or If-Match: * for whichever there is", http.StatusPreconditionRequired)
		return
	}
	s.change(at, w, r, text, "")
}

// restore tries the text of an entry of the history.
func (s *Server) restore(at *Setting, w http.ResponseWriter, r *http.Request) {
	e, text, err := s.find(at, r)
	if err != nil {
		failed(w, err)
		return
	}
	s.change(at, w, r, text, fmt.Sprintf("restored from %d", e.ID))
}

// wishes reads the query, strictly: a trial that was to be a look would be a surprise.
func wishes(r *http.Request) (dry bool, within time.Duration, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return false, 0, fmt.Errorf("the query is malformed: %w", err)
	}
	within = Within
	for name, all := range values {
		switch {
		case name == "dry-run" && len(all) == 1 && (all[0] == "true" || all[0] == "false"):
			dry = all[0] == "true"
		case name == "within" && len(all) == 1:
			if within, err = time.ParseDuration(all[0]); err != nil || within < MinWithin || within > MostWithin {
				return false, 0, fmt.Errorf("within is a time from %v to %v, such as 60s", MinWithin, MostWithin)
			}
		default:
			return false, 0, errors.New("the query can be dry-run=true, and within=60s or another time to confirm")
		}
	}
	return dry, within, nil
}

func (s *Server) change(at *Setting, w http.ResponseWriter, r *http.Request, text []byte, note string) {
	dry, within, err := wishes(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	old, err := s.Desk.Read(at.Subject)
	if err != nil {
		failed(w, err)
		return
	}
	if at.Overruled != nil {
		if err := at.Overruled(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
	}
	answer := Answer{Diff: unified(at.Name, old, text), Next: "nothing was changed"}
	match := func(now []byte) bool { return matches(r.Header.Values("If-Match"), tag(now)) }
	if dry {
		if err := at.Check(r.Context(), text); err != nil {
			failed(w, trial.Mistake{Err: err})
			return
		}
		if !match(old) {
			failed(w, trial.ErrChanged)
			return
		}
		reply(w, http.StatusOK, answer)
		return
	}
	from, _, _ := net.SplitHostPort(r.RemoteAddr)
	// What has begun is not left half done if the client goes.
	t, err := s.Desk.Begin(context.WithoutCancel(r.Context()), trial.Change{
		Subject: at.Subject, Text: text, Match: match, Who: who(r).name, From: from, Note: note, Within: within,
	})
	if errors.Is(err, trial.ErrSame) {
		reply(w, http.StatusOK, answer)
		return
	} else if err != nil {
		failed(w, err)
		return
	}
	answer.Trial = &t
	answer.Next = fmt.Sprintf("POST /%s/confirm over a new connection within %v, or it is taken back", at.Name, within)
	w.Header().Set("ETag", tag(text))
	w.Header().Set("Connection", "close") // The next one is new.
	status := http.StatusOK
	if at.Cuts {
		status = http.StatusAccepted
	}
	reply(w, status, answer)
}

// matches compares strongly (RFC 9110 §13.1.1). No condition is always met.
func matches(fields []string, tag string) bool {
	if len(fields) == 0 {
		return true
	}
	for m := range strings.SplitSeq(strings.Join(fields, ","), ",") {
		if m = strings.TrimSpace(m); m == "*" || m == tag {
			return true
		}
	}
	return false
}

func (s *Server) confirm(at *Setting, w http.ResponseWriter, r *http.Request) {
	e, err := s.Desk.Confirm(at.Subject, who(r).name, connected(r))
	if err != nil {
		failed(w, err)
		return
	}
	reply(w, http.StatusOK, e)
}

func (s *Server) revert(at *Setting, w http.ResponseWriter, r *http.Request) {
	if err := s.Desk.Revert(at.Subject, who(r).name); err != nil {
		failed(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (s *Server) history(at *Setting, w http.ResponseWriter, _ *http.Request) {
	all, err := s.Desk.History(at.Subject)
	if err != nil {
		failed(w, err)
		return
	}
	reply(w, http.StatusOK, all)
}

func (s *Server) find(at *Setting, r *http.Request) (trial.Entry, []byte, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return trial.Entry{}, nil, trial.ErrNoEntry
	}
	return s.Desk.Entry(at.Subject, id)
}

func (s *Server) entry(at *Setting, w http.ResponseWriter, r *http.Request) {
	e, text, err := s.find(at, r)
	if err != nil {
		failed(w, err)
		return
	}
	answer := Entry{Entry: e}
	if text != nil {
		answer.Text = new(string(text))
	}
	reply(w, http.StatusOK, answer)
}

// failed answers with an error.
func failed(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var busy trial.Busy
	switch {
	case errors.As(err, new(trial.Mistake)), errors.As(err, new(trial.Refused)):
		status = http.StatusUnprocessableEntity
	case errors.As(err, &busy):
		status = http.StatusConflict
		left := 5 * time.Second
		if !busy.Until.IsZero() {
			left = max(left, time.Until(busy.Until))
		}
		w.Header().Set("Retry-After", strconv.Itoa(int(left/time.Second)+1))
	case errors.Is(err, trial.ErrChanged):
		status = http.StatusPreconditionFailed
	case errors.Is(err, trial.ErrConnection), errors.Is(err, trial.ErrNotYet):
		w.Header().Set("Connection", "close") // The next one is new.
		status = http.StatusConflict
	case errors.Is(err, trial.ErrNotYours):
		status = http.StatusForbidden
	case errors.Is(err, trial.ErrNone), errors.Is(err, trial.ErrNoEntry):
		status = http.StatusNotFound
	}
	http.Error(w, err.Error(), status)
}

func reply(w http.ResponseWriter, status int, answer any) {
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
