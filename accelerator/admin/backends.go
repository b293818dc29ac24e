package admin

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Backends is the state that people give the backends: by pool and URL, "ready",
// "drain" or "maint".
type Backends map[string]map[string]string

// tag is the entity tag of a state: who changes it says by If-Match which one he
// saw, and is refused if another was quicker.
func (b Backends) tag() string {
	h := xxhash.New()
	for _, pool := range slices.Sorted(maps.Keys(b)) {
		_, _ = h.WriteString(pool + "\x00")
		for _, url := range slices.Sorted(maps.Keys(b[pool])) {
			_, _ = h.WriteString(url + "\x00" + b[pool][url] + "\x00")
		}
	}
	return `"` + strconv.FormatUint(h.Sum64(), 16) + `"`
}

// maxPatch bounds the body of a change.
const maxPatch = 1 << 20

// backends answers GET: the state that is.
func (s *Server) backends(w http.ResponseWriter, _ *http.Request) {
	s.changing.Lock()
	defer s.changing.Unlock()
	writeBackends(w, s.Backends())
}

func writeBackends(w http.ResponseWriter, now Backends) {
	text, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", now.tag())
	_, _ = w.Write(append(text, '\n'))
}

// patchBackends changes the state of the backends that the body names, by the
// rules of a JSON Merge Patch (RFC 7396), all or none of them. Who changes it has to say
// which state he saw, as with the farm.
func (s *Server) patchBackends(w http.ResponseWriter, r *http.Request) {
	match := strings.Join(r.Header.Values("If-Match"), ",")
	if match == "" {
		http.Error(w, "which state did you see? Send its ETag (GET /backends) as If-Match, or If-Match: * for whichever there is", http.StatusPreconditionRequired)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPatch))
	if errors.As(err, new(*http.MaxBytesError)) {
		http.Error(w, "that is too long", http.StatusRequestEntityTooLarge)
		return
	}
	var change Backends
	if err == nil {
		err = json.Unmarshal(text, &change)
	}
	if err != nil {
		http.Error(w, `not read: `+err.Error()+`; send such as {"default": {"http://10.0.0.2:8000": "drain"}}`, http.StatusBadRequest)
		return
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	now := s.Backends()
	if !matches(match, now.tag()) {
		w.Header().Set("ETag", now.tag())
		http.Error(w, "somebody else changed it since you looked; look again (GET /backends)", http.StatusPreconditionFailed)
		return
	}
	if err := s.SetBackends(change); err != nil {
		http.Error(w, "nothing changed: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	writeBackends(w, s.Backends())
}
