package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// ServeHTTP answers GET /flights with the flights that are kept, the newest first, and GET /flights/ID with one, for
// people, or as JSON if that is asked for (Accept).
func (r *Recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	wanted := strings.Contains(request.Header.Get("Accept"), "application/json")
	id := request.PathValue("id")
	if id == "" {
		all, err := r.List()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if wanted {
			reply(w, all)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, s := range all {
			fmt.Fprintf(w, "%4d  %s  %s\n", s.ID, s.Ended.Format("2006-01-02 15:04:05"), s.Why)
		}
		return
	}
	n, err := strconv.Atoi(id)
	if err != nil {
		err = ErrNone
	}
	var f Flight
	if err == nil {
		f, err = r.Read(n)
	}
	switch {
	case errors.Is(err, ErrNone):
		http.Error(w, err.Error()+": GET /flights lists them", http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case wanted:
		reply(w, f)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = f.Write(w)
	}
}

func reply(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what)
}

// Status is what the status of the box has of it.
type Status struct {
	LastRun *Run      `json:"last_run,omitempty"` // nil: not known yet
	Flights []Summary `json:"flights"`            // the newest first
	Newest  *Glimpse  `json:"newest_flight,omitempty"`
}

// Glimpse is the end of a flight.
type Glimpse struct {
	ID      int      `json:"id"`
	Metrics string   `json:"metrics"` // the last
	Events  []string `json:"events"`  // at most 10
	Log     []string `json:"log"`     // at most 20 lines
}

// Status returns it.
func (r *Recorder) Status() Status {
	var s Status
	r.mu.Lock()
	s.LastRun = r.last
	r.mu.Unlock()
	s.Flights, _ = r.List()
	if len(s.Flights) == 0 {
		return s
	}
	f, err := r.Read(s.Flights[0].ID)
	if err != nil {
		return s
	}
	g := &Glimpse{ID: f.ID, Events: []string{}, Log: []string{}}
	for _, rec := range f.Records {
		text := rec.When().Format("15:04:05 ") + rec.String()
		switch {
		case rec.Sample != nil:
			g.Metrics = text
		case rec.Line != nil:
			g.Log = append(g.Log, text)
		default:
			g.Events = append(g.Events, text)
		}
	}
	g.Events, g.Log = g.Events[max(0, len(g.Events)-10):], g.Log[max(0, len(g.Log)-20):]
	s.Newest = g
	return s
}

// Asked records who asks for what, but for what changes nothing, and with which status that was answered.
func (r *Recorder) Asked(who string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodGet || request.Method == http.MethodHead {
			next.ServeHTTP(w, request)
			return
		}
		from, _, _ := net.SplitHostPort(request.RemoteAddr)
		what := request.Method + " " + request.URL.RequestURI()
		if at, ok := request.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
			what += fmt.Sprintf(" at port %d", at.Port)
		}
		r.Note("asked", who+" from "+from, what)
		answer := &answer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(answer, request)
		r.Note("asked", who+" from "+from, fmt.Sprintf("%s: %d", what, answer.status))
	})
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
