package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/release"
)

// Releases is the answer to GET /releases.
type Releases struct {
	Keep     int               `json:"keep"`
	Assets   release.Globs     `json:"assets"` // which files stay reachable after a flip
	Releases []release.Release `json:"releases"`
	Scrub    *release.Scrubbed `json:"scrub,omitempty"` // the last one
}

func (s *Server) releases(_ *Setting, w http.ResponseWriter, _ *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		keep, err := store.Kept()
		if err != nil {
			return 0, nil, err
		}
		all, err := store.List()
		if err != nil {
			return 0, nil, err
		}
		assets, err := store.Assets()
		if err != nil {
			return 0, nil, err
		}
		scrub, err := store.LastScrub()
		return http.StatusOK, Releases{keep, assets, all, scrub}, err
	})
}

// publish takes a site as a tar archive.
func (s *Server) publish(_ *Setting, w http.ResponseWriter, r *http.Request) {
	body := wait(w, r)
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		made, err := store.Tar(r.Context(), body, who(r).name)
		return http.StatusCreated, made, err
	})
}

func (s *Server) flip(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		live, err := store.Flip(r.Context(), r.PathValue("id"), who(r).name)
		return http.StatusOK, live, err
	})
}

func (s *Server) keep(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 100))
		if err != nil {
			return 0, nil, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			n = 0 // Which is refused, with the numbers that can be.
		}
		return http.StatusOK, map[string]int{"keep": n}, store.Keep(n)
	})
}

// assets sets which files stay reachable after a flip: globs, one a line.
func (s *Server) assets(_ *Setting, w http.ResponseWriter, r *http.Request) {
	s.withReleases(w, func(store *release.Store) (int, any, error) {
		text, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
		if err != nil {
			return 0, nil, err
		}
		globs, err := release.ParseGlobs(string(text))
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, map[string]release.Globs{"assets": globs}, store.SetAssets(r.Context(), globs)
	})
}

// withReleases answers a call, and its errors with the status that they stand for.
func (s *Server) withReleases(w http.ResponseWriter, call func(*release.Store) (int, any, error)) {
	if s.Releases == nil {
		http.Error(w, "nothing can be published here", http.StatusConflict)
		return
	}
	status, answer, err := call(s.Releases)
	// What came in and what was written may have taken longer than the server's own time.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	switch {
	case err == nil:
		if m, is := answer.(missing); is {
			m.write(w, status)
			return
		}
		reply(w, status, answer)
		return
	case errors.Is(err, release.ErrNone), errors.Is(err, release.ErrNotAnnounced):
		status = http.StatusNotFound
	case errors.Is(err, release.ErrPlace), errors.Is(err, release.ErrFrom), errors.As(err, new(*release.MissingError)):
		status = http.StatusConflict
	case errors.Is(err, release.ErrOvertaken):
		status = http.StatusPreconditionFailed
	case errors.Is(err, errLength):
		status = http.StatusLengthRequired
	case errors.Is(err, errQuery):
		status = http.StatusBadRequest
	case errors.Is(err, release.ErrRefused), errors.Is(err, release.ErrMismatch):
		status = http.StatusUnprocessableEntity
	case errors.As(err, new(*release.FullError)):
		status = http.StatusInsufficientStorage
	case errors.Is(err, release.ErrBusy):
		w.Header().Set("Retry-After", "10")
		status = http.StatusServiceUnavailable
	case errors.As(err, new(stalled)):
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	w.Header().Set("Connection", "close") // The rest of what was sent is of no use.
	http.Error(w, err.Error(), status)
}

// The times of a body that is published, however large it is.
const (
	stallTime   = 30 * time.Second // until the next bytes arrive
	publishTime = 6 * time.Hour    // for all of it
	answerTime  = 30 * time.Second
)

// stalled is an error of who sends.
type stalled struct{ error }

func (s stalled) Unwrap() error { return s.error }

// wait returns the body of a request, with those times.
func wait(w http.ResponseWriter, r *http.Request) *patient {
	return &patient{r: r.Body, control: http.NewResponseController(w), end: time.Now().Add(publishTime)}
}

// patient reads a body as long as some of it arrives.
type patient struct {
	r       io.Reader
	control *http.ResponseController
	end     time.Time
}

func (p *patient) Read(b []byte) (int, error) {
	deadline := time.Now().Add(stallTime)
	if deadline.After(p.end) {
		deadline = p.end
	}
	if err := p.control.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if err != nil && err != io.EOF {
		err = stalled{err}
	}
	return n, err
}
