package api

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ramjet/appliance/release"
)

// The calls of a publisher that sends only what the box lacks: the manifest, then the contents, then the commit.

var (
	errLength = errors.New("how long is the manifest? Send its Content-Length")
	errQuery  = errors.New("the query is wrong: live=false, or instead=ID, or both")
)

// missing is the answer to a manifest: a line "hash have" for each content that has to be sent.
type missing struct {
	manifest release.Hash
	all      []release.Missing
}

func (m missing) write(w http.ResponseWriter, status int) {
	w.Header().Set("Location", "/releases/manifests/"+m.manifest.String())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	control, out := http.NewResponseController(w), bufio.NewWriterSize(w, 64<<10)
	for i, one := range m.all {
		if i%10_000 == 0 {
			_ = control.SetWriteDeadline(time.Now().Add(answerTime))
		}
		if _, err := fmt.Fprintf(out, "%s %d\n", one.Hash, one.Have); err != nil {
			return
		}
	}
	_ = out.Flush()
}

func (s *Server) announce(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		if r.ContentLength < 0 {
			return 0, nil, errLength
		}
		manifest, all, err := store.Announce(r.Context(), r.ContentLength, wait(w, r))
		return http.StatusCreated, missing{manifest, all}, err
	})
}

func (s *Server) missing(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		manifest, err := release.ParseHash(r.PathValue("hash"))
		if err != nil {
			return 0, nil, release.ErrNotAnnounced
		}
		all, err := store.Missing(r.Context(), manifest)
		return http.StatusOK, missing{manifest, all}, err
	})
}

// receive takes a stream of contents.
func (s *Server) receive(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		n, err := store.Receive(r.Context(), wait(w, r))
		return http.StatusOK, map[string]int{"contents": n}, err
	})
}

func (s *Server) commit(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		how := release.How{By: who(r).name}
		for name, values := range r.URL.Query() {
			switch value := values[0]; {
			case name == "live" && (value == "false" || value == "true") && len(values) == 1:
				how.Stay = value == "false"
			case name == "instead" && value != "" && len(values) == 1:
				how.Instead = value
			default:
				return 0, nil, errQuery
			}
		}
		manifest, err := release.ParseHash(r.PathValue("hash"))
		if err != nil {
			return 0, nil, release.ErrNotAnnounced
		}
		made, err := store.CommitAnnounced(r.Context(), manifest, how)
		return http.StatusCreated, made, err
	})
}
