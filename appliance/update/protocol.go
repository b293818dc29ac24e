package update

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Status is the answer to GET /update/status.
type Status struct {
	Version string    `json:"version"`
	Root    int       `json:"root"`
	OnTrial bool      `json:"on_trial"` // the running version is not confirmed yet
	Trial   *Trial    `json:"trial,omitempty"`
	Spare   string    `json:"spare,omitempty"` // what POST /update/rollback would try
	History []Outcome `json:"history"`         // the newest last
}

// Status says how the updates stand.
func (u *Updater) Status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := Status{Version: u.Name, Root: u.Disk.Active, OnTrial: u.trying.Load(), History: u.state.History}
	if s.History == nil {
		s.History = []Outcome{}
	}
	if t := u.state.Trial; t != nil {
		short := *t
		short.From, short.To = short.From.named(), short.To.named()
		s.Trial = &short
	}
	if u.state.Spare != nil {
		s.Spare = u.state.Spare.String()
	}
	return s
}

// named is a version without what only the machine needs.
func (v Version) named() Version { return Version{Root: v.Root, Name: v.Name, Hash: v.Hash} }

// register adds the update protocol to the table of requests: gokrazy's, as gok speaks it, and status and rollback.
func (u *Updater) register(mux *http.ServeMux) {
	for _, part := range []string{rootPart, bootPart, recordPart} {
		mux.HandleFunc("PUT /update/"+part, func(w http.ResponseWriter, r *http.Request) { u.put(w, r, part) })
	}
	switchOver := func(w http.ResponseWriter, r *http.Request) { u.answer(w, "switch", u.Switch(r.Context())) }
	mux.HandleFunc("POST /update/switch", switchOver)
	mux.HandleFunc("POST /update/testboot", switchOver)
	mux.HandleFunc("POST /update/rollback", func(w http.ResponseWriter, r *http.Request) { u.answer(w, "rollback", u.Rollback(r.Context())) })
	mux.HandleFunc("POST /update/confirm", func(w http.ResponseWriter, _ *http.Request) { u.answer(w, "confirm", u.Keep()) })
	mux.HandleFunc("POST /update/revert", u.revert)
	mux.HandleFunc("PUT /update/signature", u.putSignature)
	mux.HandleFunc("/update/bootonly", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "a kernel is tried with its root: send both", http.StatusNotImplemented)
	})
	mux.HandleFunc("GET /update/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(u.Status())
	})
}

// revert gives up the version on trial. The machine starts anew behind the answer.
func (u *Updater) revert(w http.ResponseWriter, r *http.Request) {
	if !u.trying.Load() {
		u.answer(w, "revert", errNoTrial)
		return
	}
	finish(w, "starting the old version\n")
	go u.decide("asked for by " + r.RemoteAddr)
}

// put keeps a part of an update, and answers with its hash.
func (u *Updater) put(w http.ResponseWriter, r *http.Request, part string) {
	if !u.turn.TryLock() {
		u.answer(w, part, errBusy)
		return
	}
	defer u.turn.Unlock()
	if u.trying.Load() {
		u.answer(w, part, refuse(http.StatusConflict, "the running version is still on trial"))
		return
	}
	sum, err := u.receive(part, r)
	if err != nil {
		u.answer(w, part, err)
		return
	}
	fmt.Fprintf(w, "%x", sum)
}

// answer is the end of a request.
func (u *Updater) answer(w http.ResponseWriter, what string, err error) {
	if err == nil {
		return
	}
	u.Log.Error("an update is refused", "at", what, "err", err)
	status := http.StatusInternalServerError
	if r := new(refusal); errors.As(err, &r) {
		status = r.status
	}
	http.Error(w, err.Error(), status)
}
