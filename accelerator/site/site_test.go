package site

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ramjet/accelerator/content"
)

// newSite returns a site of the given files, with kHTTPd's rules.
func newSite(t *testing.T, files map[string]string, farm http.Handler) (*Site, string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	store := content.NewStore(content.Options{
		Root: root, Index: []string{"index.html"}, Memory: 1 << 20, MemoryPerFile: 1 << 10, Charset: "utf-8",
	}, slog.New(slog.DiscardHandler))
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &Site{
		Store: store, Server: "ramjet", Counters: &Counters{},
		Rules: &content.Rules{
			Farm: farm != nil, PermRequired: 0o004, PermForbid: 0o1111,
			Dynamic: content.NewPatterns([]string{"..", "cgi-bin"}),
		},
	}
	if farm != nil {
		s.Farm = partial{farm}
	}
	return s, root
}

// partial is a farm that answers all but what the path begins with /alone.
type partial struct{ http.Handler }

func (p partial) Route(r *http.Request) http.Handler {
	if strings.HasPrefix(r.URL.Path, "/alone") {
		return nil
	}
	return p
}

func (p partial) Explain(*http.Request) string { return "farm  of a test\n" }

// farm answers as a backend would that is not ours.
var farm = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Farm", r.RequestURI)
	w.WriteHeader(http.StatusTeapot)
})

// ask sends one request over loopback.
func ask(t *testing.T, s *Site, method, target string) (*http.Response, string) {
	t.Helper()
	server := httptest.NewServer(s)
	defer server.Close()
	r, err := http.NewRequest(method, server.URL+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// While the clock is unknown nothing pretends to know it.
func TestNoDateWithoutClock(t *testing.T) {
	s, _ := newSite(t, map[string]string{"a.html": "a"}, nil)
	boot := time.Unix(20, 0)
	s.Now = func() time.Time { return boot }
	for _, target := range []string{"/a.html", "/none"} {
		if response, _ := ask(t, s, http.MethodGet, target); response.Header["Date"] != nil {
			t.Errorf("%s: Date %q", target, response.Header["Date"])
		}
	}
	s.Now = nil
	if response, _ := ask(t, s, http.MethodGet, "/a.html"); response.Header["Date"] == nil {
		t.Error("no Date though the clock is right")
	}
}

// A file whose bytes are gone goes to the farm, or is unavailable: it exists, so
// it is not 404.
func TestUnreadable(t *testing.T) {
	files := map[string]string{"large.html": strings.Repeat("x", 2<<10)}
	for _, test := range []struct {
		name string
		farm http.Handler
		want int
	}{{"alone", nil, http.StatusServiceUnavailable}, {"with a farm", farm, http.StatusTeapot}} {
		s, root := newSite(t, files, test.farm)
		if err := os.Remove(filepath.Join(root, "large.html")); err != nil {
			t.Fatal(err)
		}
		response, _ := ask(t, s, http.MethodGet, "/large.html")
		if response.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", test.name, response.StatusCode, test.want)
		}
		if n := s.Counters.Outcomes[Unreadable].Load(); n != 1 {
			t.Errorf("%s: counted %d times", test.name, n)
		}
	}
}

func TestErrorPages(t *testing.T) {
	s, _ := newSite(t, map[string]string{"404.html": "<p>our own</p>"}, nil)
	response, body := ask(t, s, http.MethodGet, "/none")
	if response.StatusCode != http.StatusNotFound || body != "<p>our own</p>" || response.Header.Get("Etag") != "" {
		t.Errorf("own page: %d %q %v", response.StatusCode, body, response.Header)
	}
	response, body = ask(t, s, http.MethodPost, "/404.html")
	if response.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(body, "405") || response.Header.Get("Allow") == "" {
		t.Errorf("built-in page: %d %q", response.StatusCode, body)
	}
	empty, _ := newSite(t, nil, nil)
	if _, body := ask(t, empty, http.MethodGet, "/"); !strings.Contains(body, "no site yet") {
		t.Errorf("an empty site says %q", body)
	}
}

func TestExplain(t *testing.T) {
	files := map[string]string{"index.html": "home", "alone.html": "a", "big.html": strings.Repeat("x", 2<<10), "cgi-bin/a.html": "a", "dir/index.html": "d"}
	alone, _ := newSite(t, files, nil)
	farmed, _ := newSite(t, files, farm)
	tests := []struct {
		site   *Site
		target string
		want   string // last line
	}{
		{farmed, "/", "static, identity, from memory"},
		{farmed, "http://example.com/", "static, identity, from memory"},
		{farmed, "/big.html", "static, identity, from a file opened for the request"},
		{farmed, "/dir", "redirected to /dir/"},
		{farmed, "/cgi-bin/a.html", "forwarded: rule 6, the path contains cgi-bin"},
		{farmed, "/?x", "forwarded: rule 1, the URL has a query"},
		{farmed, "/alone.html?x", "static, identity, from memory"},
		{farmed, "/alone/none", "answered 404 Not Found: rule 3, there is no such file"},
		{farmed, "/%2e%2e/x", "forwarded: rule 2, the path is unsafe: it has a .. segment"},
		{alone, "/?x", "static, identity, from memory"},
		{alone, "/none", "answered 404 Not Found: rule 3, there is no such file"},
		{alone, "/cgi-bin/a.html", "answered 404 Not Found: rule 6, the path contains cgi-bin"},
	}
	for _, test := range tests {
		text, err := test.site.Explain(test.target)
		if err != nil {
			t.Errorf("%s: %v", test.target, err)
			continue
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if got := lines[len(lines)-1]; got != test.want {
			t.Errorf("%s: %q, want %q", test.target, got, test.want)
		}
		extra := 0
		if test.site == farmed && !strings.HasPrefix(test.want, "static") && !strings.HasPrefix(test.want, "redirected") {
			extra = 2 // What the farm says.
		}
		if len(lines) != len(content.Table)+4+extra {
			t.Errorf("%s: %d lines:\n%s", test.target, len(lines), text)
		}
	}
	for _, bad := range []string{"", "index.html", "ftp://example.com/", "/%zz"} {
		if text, err := alone.Explain(bad); err == nil {
			t.Errorf("%q is explained:\n%s", bad, text)
		}
	}
}

// A request that the farm has nobody for is answered as if there were no farm.
func TestNobodyOfTheFarm(t *testing.T) {
	s, _ := newSite(t, map[string]string{"alone.html": "a", "alone.odd": "b"}, farm)
	for _, test := range []struct {
		method, target string
		want           int
	}{
		{"GET", "/alone.html?x", 200}, {"GET", "/alone.odd", 200}, {"GET", "/alone/none", 404}, {"POST", "/alone.html", 405}, {"POST", "/other", 418},
	} {
		if response, _ := ask(t, s, test.method, test.target); response.StatusCode != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.target, response.StatusCode, test.want)
		}
	}
	if n := s.Counters.Outcomes[Answered].Load(); n != 2 {
		t.Errorf("answered %d times", n)
	}
}

func TestBodyLimit(t *testing.T) {
	s, _ := newSite(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}))
	s.BodyBytes = 10
	for _, test := range []struct {
		body io.Reader
		want int
	}{
		{strings.NewReader("12345678901"), 413},
		{io.MultiReader(strings.NewReader("12345678901")), 413}, // chunked
		{strings.NewReader("1234567890"), 200},
	} {
		server := httptest.NewServer(s)
		response, err := http.Post(server.URL+"/", "text/plain", test.body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		server.Close()
		if response.StatusCode != test.want {
			t.Errorf("%d, want %d", response.StatusCode, test.want)
		}
	}
}
