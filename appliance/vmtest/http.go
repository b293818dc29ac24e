package vmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"ramjet/appliance/vmtest/site"
)

// Answer is a whole response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Fetch makes a GET for the path (and query) with the header fields, and
// returns the whole answer. An answer that is cut short is an error.
func (b *Box) Fetch(ctx context.Context, path string, header map[string]string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.URL+path, nil)
	if err != nil {
		return Answer{}, err
	}
	for k, v := range header {
		request.Header.Set(k, v)
	}
	response, err := b.Client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("GET %s: %s, after %d octets: %w", path, response.Status, len(body), err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

// Get is Fetch for a request that must be answered.
func (b *Box) Get(path string, header map[string]string) Answer {
	b.t.Helper()
	answer, err := b.Fetch(b.t.Context(), path, header)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// SameBytes checks that the box serves the file whole, with the length and
// the time it has, and returns the answer. It reports the first difference.
func (b *Box) SameBytes(f site.File) Answer {
	b.t.Helper()
	answer := b.Get(URLPath(f.Name), nil)
	if err := CheckFile(f, answer); err != nil {
		b.t.Error(err)
	}
	return answer
}

// CheckFile compares a 200 answer with the file that it should be.
func CheckFile(f site.File, a Answer) error {
	if a.Status != http.StatusOK {
		return fmt.Errorf("%s: status %d, want 200", f.Name, a.Status)
	}
	want, err := os.ReadFile(f.Path)
	if err != nil {
		return err
	}
	if !bytes.Equal(a.Body, want) {
		return fmt.Errorf("%s: %d octets, differing from the source's %d octets at %d",
			f.Name, len(a.Body), len(want), firstDifference(a.Body, want))
	}
	if got, want := a.Header.Get("Content-Length"), fmt.Sprint(f.Size); got != want {
		return fmt.Errorf("%s: Content-Length %q, want %q", f.Name, got, want)
	}
	if got, want := a.Header.Get("Last-Modified"), f.Modified.UTC().Format(http.TimeFormat); got != want {
		return fmt.Errorf("%s: Last-Modified %q, want %q", f.Name, got, want)
	}
	return nil
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// URLPath returns the path of a request for a file of the site.
func URLPath(name string) string {
	return (&url.URL{Path: "/" + name}).EscapedPath()
}

// ClockOffset returns how far the box's clock is ahead of this machine's. It
// watches for the second to turn in the Date of gokrazy's answers, so that it
// is right within some hundredths of a second.
func (b *Box) ClockOffset() time.Duration {
	b.t.Helper()
	b.waitControl()
	date := func() time.Time {
		request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.Control+"/", nil)
		if err != nil {
			b.t.Fatal(err)
		}
		response, err := b.Client.Do(request) // 401 without a password; the Date is what counts
		if err != nil {
			b.t.Fatal(err)
		}
		response.Body.Close()
		at, err := http.ParseTime(response.Header.Get("Date"))
		if err != nil {
			b.t.Fatalf("Date of gokrazy's interface: %v", err)
		}
		return at
	}
	first := date()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if now := date(); now.After(first) {
			return time.Until(now)
		}
	}
	b.t.Fatal("the box's clock stands still")
	return 0
}
