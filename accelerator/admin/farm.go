package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// FarmChange is what somebody wants of the farm.
type FarmChange struct {
	Kind FarmChangeKind
	Text []byte // the body; none of a reset
	Save bool   // else the change is for now

	// Expected tells whether the farm that is is the one that he saw.
	Expected func(now []byte) bool
}

// FarmChangeKind is how a farm becomes another.
type FarmChangeKind int

const (
	ReplaceFarm FarmChangeKind = iota
	MergeFarm                  // RFC 7396
	ResetFarm                  // to that of the configuration; a saved one is removed
)

// ErrFarmChanged is the answer to a change of a farm that is not the one expected. The
// farm that is comes with it.
var ErrFarmChanged = errors.New("somebody else changed the farm since you looked; look again (GET /farm)")

// Fault is an error of the machine, and not of what it was asked for.
type Fault struct{ Err error }

func (f Fault) Error() string { return f.Err.Error() }
func (f Fault) Unwrap() error { return f.Err }

// maxFarm is the largest body. What the configuration reads is smaller.
const maxFarm = 2 << 20

func farmTag(text []byte) string {
	return `"` + strconv.FormatUint(xxhash.Sum64(text), 16) + `"`
}

// getFarm answers GET, also for those who have it already (If-None-Match).
func (s *Server) getFarm(w http.ResponseWriter, r *http.Request) {
	text := s.Farm()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("ETag", farmTag(text))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// changeFarm answers PUT, PATCH and DELETE. Who replaces or changes the farm has to say
// which one he saw.
func (s *Server) changeFarm(w http.ResponseWriter, r *http.Request) {
	change := FarmChange{Kind: map[string]FarmChangeKind{
		http.MethodPut: ReplaceFarm, http.MethodPatch: MergeFarm, http.MethodDelete: ResetFarm,
	}[r.Method]}
	var err error
	if change.Save, err = saves(r.URL.RawQuery); err == nil && change.Save && change.Kind == ResetFarm {
		err = errors.New("a reset is for good in any case; leave out save")
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	match := strings.Join(r.Header.Values("If-Match"), ",")
	if match == "" && change.Kind != ResetFarm {
		http.Error(w, "which farm did you see? Send its ETag (GET /farm) as If-Match, or If-Match: * for whichever there is", http.StatusPreconditionRequired)
		return
	}
	change.Expected = func(now []byte) bool { return match == "" || matches(match, farmTag(now)) }
	if change.Text, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxFarm)); errors.As(err, new(*http.MaxBytesError)) {
		http.Error(w, "that is too long", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "not read: "+err.Error(), http.StatusBadRequest)
		return
	}
	now, err := s.ChangeFarm(change)
	switch {
	case errors.Is(err, ErrFarmChanged):
		w.Header().Set("ETag", farmTag(now))
		http.Error(w, err.Error(), http.StatusPreconditionFailed)
	case errors.As(err, new(Fault)):
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Location", "/farm")
		// RFC 9110 §9.3.4: after a PUT only if what was sent is what there is now.
		if change.Kind != ReplaceFarm || bytes.Equal(change.Text, now) {
			w.Header().Set("ETag", farmTag(now))
		}
		_, _ = w.Write(now)
	}
}

// saves reads the query, strictly: a change that is not saved because of a slip would
// be missed only after a restart.
func saves(query string) (bool, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return false, fmt.Errorf("the query is malformed: %w", err)
	}
	for name, all := range values {
		if name != "save" || len(all) != 1 || all[0] != "true" && all[0] != "false" {
			return false, errors.New("the query can be save=true or save=false")
		}
	}
	return values.Get("save") == "true", nil
}

// matches compares strongly (RFC 9110 §13.1.1): a weak tag is no match.
func matches(list, tag string) bool {
	for m := range strings.SplitSeq(list, ",") {
		if m = strings.TrimSpace(m); m == "*" || m == tag {
			return true
		}
	}
	return false
}
