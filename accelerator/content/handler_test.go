package content

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serveTree serves a folder over loopback and returns its address.
func serveTree(t *testing.T, o Options) string {
	t.Helper()
	store := NewStore(o, slog.New(slog.DiscardHandler))
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &Handler{Rules: &Rules{}, ErrorPage: func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := h.Rules.Decide(store.Snapshot(), r.Method, r.RequestURI)
		if d.Failed != nil || !h.Serve(w, r, d.Object) {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, url string, fields ...string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// A file that changed since it was loaded is declined: its validators are of
// another state.
func TestServeDeclines(t *testing.T) {
	large := strings.Repeat("0123456789", 10000)
	root := tree(t, map[string]string{"kept.html": large, "opened.html": large, "gone.html": large})
	o := options(root)
	o.OpenFiles = 0
	url := serveTree(t, o)
	put(t, root, "opened.html", large+"x")
	if err := os.Remove(filepath.Join(root, "gone.html")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"kept": 200, "opened": 418, "gone": 418} {
		response, _, err := get(t, url+"/"+name+".html")
		if err != nil || response.StatusCode != want {
			t.Errorf("%s: %v %v, want %d", name, response, err, want)
		}
	}
}

// A file that is kept open is served after it was replaced or unlinked: what was
// loaded is still whole.
func TestServeUnlinked(t *testing.T) {
	large := strings.Repeat("0123456789", 10000)
	root := tree(t, map[string]string{"a.html": large, "b.html": large})
	url := serveTree(t, options(root))
	if err := os.Remove(filepath.Join(root, "a.html")); err != nil {
		t.Fatal(err)
	}
	put(t, root, "new", "other")
	if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "b.html")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		_, body, err := get(t, url+"/"+name+".html")
		if err != nil || body != large {
			t.Errorf("%s: %d bytes, %v", name, len(body), err)
		}
	}
}

// A file that changes while it is sent is never passed off as whole.
func TestServeChangedInFlight(t *testing.T) {
	const size = 64 << 20 // More than the sockets' buffers hold.
	root := tree(t, map[string]string{"a.bin": strings.Repeat("a", size)})
	for _, ranges := range []string{"", "bytes=0-", "bytes=0-1,5-"} {
		put(t, root, "a.bin", strings.Repeat("a", size))
		url := serveTree(t, options(root))
		r, err := http.NewRequest(http.MethodGet, url+"/a.bin", nil)
		if err != nil {
			t.Fatal(err)
		}
		if ranges != "" {
			r.Header.Set("Range", ranges)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, response.Body, 1<<20); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "a.bin"), []byte(strings.Repeat("b", size)), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil {
			t.Errorf("Range %q: a torn file of %d bytes looks whole", ranges, n)
		}
	}
}

func TestCanonicalRange(t *testing.T) {
	const none = "bytes=10-" // nothing that can be satisfied
	tests := []struct {
		field, want string
	}{
		{"", ""},
		{"bytes", ""},
		{"bytes=", ""},
		{"bytes=,,", ""},
		{"bytes=-", ""},
		{"bytes=x", ""},
		{"bytes=1", ""},
		{"bytes=+1-2", ""},
		{"bytes=1 -2", ""},
		{"bytes=1--2", ""},
		{"bytes=5-4", ""},
		{"bytes=0-1,x", ""},
		{"items=0-1", ""},
		{"bytes=" + strings.Repeat("0-0,", maxRanges) + "1-1", ""},
		{"bytes=-0", none},
		{"bytes=10-", none},
		{"bytes=10-20,99999999999999999999-", none},
		{"bytes=0-99999999999999999999", "bytes=0-9"},
		{"bytes=0-1", "bytes=0-1"},
		{"BYTES=0-1", "bytes=0-1"},
		{"bytes=-5 , 9-", "bytes=5-9,9-9"},
		{"bytes=-50", "bytes=0-9"},
		{"bytes=,0-0,,20-30,-1,", "bytes=0-0,9-9"},
	}
	for _, test := range tests {
		if got := canonicalRange(test.field, 10); got != test.want {
			t.Errorf("%q: %q, want %q", test.field, got, test.want)
		}
	}
	if got := canonicalRange("bytes=-1", 0); got != "bytes=0-" {
		t.Errorf("of an empty file: %q", got)
	}
}

// FuzzRange: whatever is asked for, the answer is 200 with all, 206 with bytes
// that are the file's, or 416.
func FuzzRange(f *testing.F) {
	const text = "0123456789"
	root := f.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.txt"), []byte(text), 0o644); err != nil {
		f.Fatal(err)
	}
	store := NewStore(Options{Root: root, Memory: 100, MemoryPerFile: 100}, slog.New(slog.DiscardHandler))
	if err := store.Load(f.Context()); err != nil {
		f.Fatal(err)
	}
	h := &Handler{Rules: &Rules{}, ErrorPage: func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) }}
	for _, s := range []string{"bytes=0-", "bytes=-1", "bytes=5-3", "bytes=0-0,9-9", "bytes=,", "BYTES=1-2", "x=1-2", "bytes=99999999999999999999-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, field string) {
		r := httptest.NewRequest(http.MethodGet, "/a.txt", nil)
		r.Header["Range"] = []string{field}
		w := httptest.NewRecorder()
		if !h.Serve(w, r, store.Snapshot().Lookup("/a.txt")) {
			t.Fatal("declined")
		}
		body := w.Body.String()
		switch w.Code {
		case http.StatusOK:
			if body != text {
				t.Fatalf("%q: 200 with %q", field, body)
			}
		case http.StatusPartialContent:
			if w.Header().Get("Content-Range") != "" && !strings.Contains(text, body) {
				t.Fatalf("%q: 206 with %q", field, body)
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if w.Header().Get("Content-Range") != "bytes */10" {
				t.Fatalf("%q: 416 with Content-Range %q", field, w.Header().Get("Content-Range"))
			}
		default:
			t.Fatalf("%q: %d", field, w.Code)
		}
	})
}
