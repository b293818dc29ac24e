package publish

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/publish/tree"
	"ramjet/appliance/release"
)

// Box is the API of one.
type Box struct {
	URL    string // https://box:8443
	Client *http.Client
	// Authorize adds the token, or name and password.
	Authorize func(*http.Request)
}

// The times of calls. A commit writes to the disk what has arrived, and waits until the accelerator has read it.
const (
	callTime   = 5 * time.Minute
	commitTime = time.Hour
	stallTime  = time.Minute // in which some of a body leaves
)

// Refusal is an answer that is not a success.
type Refusal struct {
	Status int
	Text   string
	After  time.Duration // before which it is of no use to ask again
}

func (r *Refusal) Error() string { return "the box says: " + r.Text }

func refusedWith(err error, statuses ...int) bool {
	var r *Refusal
	if !errors.As(err, &r) {
		return false
	}
	for _, status := range statuses {
		if r.Status == status {
			return true
		}
	}
	return false
}

// passing tells whether an error may go away by itself.
func passing(err error) bool {
	if refused := new(Refusal); errors.As(err, &refused) {
		return refusedWith(err, http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadRequest, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	}
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, tree.ErrChanged)
}

// call makes a request, and returns the answer if it is a success.
func (b *Box) call(ctx context.Context, method, path string, body io.Reader, size int64) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, b.URL+path, body)
	if err != nil {
		return nil, err
	}
	request.ContentLength = size
	b.Authorize(request)
	answer, err := b.Client.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 300 {
		return answer, nil
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	return nil, &Refusal{answer.StatusCode, strings.TrimSpace(string(text)), time.Duration(after) * time.Second}
}

// wanted is what the box lacks of a manifest.
type wanted struct {
	at  string // where to ask again, and below which to commit
	all []release.Missing
}

// announce sends a manifest.
func (b *Box) announce(ctx context.Context, manifest []byte) (wanted, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime+time.Duration(len(manifest)/10_000)*time.Second)
	defer cancel()
	return wantedIn(b.call(ctx, http.MethodPost, "/releases/manifests", bytes.NewReader(manifest), int64(len(manifest))))
}

// missing asks what of it is missing still.
func (b *Box) missing(ctx context.Context, at string) (wanted, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return wantedIn(b.call(ctx, http.MethodGet, at, nil, 0))
}

func wantedIn(answer *http.Response, err error) (wanted, error) {
	if err != nil {
		return wanted{}, err
	}
	defer answer.Body.Close()
	w := wanted{at: answer.Header.Get("Location")}
	if !strings.HasPrefix(w.at, "/releases/manifests/") {
		return w, errors.New("this box cannot be published to like this: its version is another one. Update it")
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		hash, have, _ := strings.Cut(lines.Text(), " ")
		var m release.Missing
		if m.Hash, err = release.ParseHash(hash); err == nil {
			m.Have, err = strconv.ParseInt(have, 10, 64)
		}
		if err != nil || len(w.all) >= release.MaxFiles {
			return w, fmt.Errorf("the box says what nobody understands: %.100q", lines.Text())
		}
		w.all = append(w.all, m)
	}
	return w, lines.Err()
}

var errStalled = errors.New("the box has taken nothing for a minute")

// send sends contents.
func (b *Box) send(ctx context.Context, contents *batch) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallTime, func() { cancel(errStalled) })
	defer stalled.Stop()
	contents.moved = func() { stalled.Reset(stallTime) }
	answer, err := b.call(ctx, http.MethodPost, "/releases/contents", contents, contents.size())
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			return cause
		}
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // Else its connection is of no more use.
	return err
}

// commit makes the release.
func (b *Box) commit(ctx context.Context, at, query string) (r release.Release, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	answer, err := b.call(ctx, http.MethodPost, at+"/commit"+query, nil, 0)
	if err != nil {
		return r, err
	}
	defer answer.Body.Close()
	err = json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&r)
	return r, err
}
