package content

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// release makes a folder's files the live release: finished, however fresh.
func release(t *testing.T, files map[string]string) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, "releases/1")
	for name, text := range files {
		put(t, dir, name, text)
	}
	turn(t, filepath.Join(root, "current"), "releases/1")
	return root, dir
}

// sketched returns a store that is live with the names of a tree alone.
func sketched(t *testing.T, o Options) *Store {
	t.Helper()
	s := NewStore(o, slog.New(slog.DiscardHandler))
	if err := s.Sketch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer serves one GET of a snapshot, the Date aside; 418 stands for declined.
func answer(t *testing.T, s *Snapshot, target string, header http.Header) *http.Response {
	t.Helper()
	h := &Handler{Rules: &Rules{}, ErrorPage: func(w http.ResponseWriter, _ *http.Request, status int) { w.WriteHeader(status) }}
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	if d := h.Rules.Decide(s, r.Method, target); d.Failed != nil || !h.Serve(w, r, d.Object) {
		w.WriteHeader(http.StatusTeapot)
	}
	return w.Result()
}

// What is served before the bodies were read does not differ from what is served
// after: no field, no validator, no byte.
func TestSketchAnswersAlike(t *testing.T) {
	large := strings.Repeat("0123456789", 1000)
	root, dir := release(t, map[string]string{
		"a.html": "<p>a long enough page", "a.html.gz": "short", "empty.css": "", "large.bin": large, "sub/index.html": "sub",
	})
	if err := os.Symlink("../a.html", filepath.Join(dir, "sub/link.html")); err != nil {
		t.Fatal(err)
	}
	first := sketched(t, options(root)).Snapshot()
	if first.Unread != 4 || first.MemoryFiles != 0 || first.OpenFiles != 0 {
		t.Fatalf("%d to be read, %d in memory, %d open", first.Unread, first.MemoryFiles, first.OpenFiles)
	}
	_, loaded := load(t, options(root))
	etag := loaded.Lookup("/a.html").Representations[0].ETag
	for _, target := range []string{"/a.html", "/empty.css", "/large.bin", "/sub/", "/sub", "/sub/link.html", "/none"} {
		for _, header := range []http.Header{
			{}, {"Accept-Encoding": {"gzip"}}, {"If-None-Match": {etag}}, {"If-Match": {etag}}, {"Range": {"bytes=2-9"}},
			{"Range": {"bytes=2-9"}, "If-Range": {etag}}, {"If-Modified-Since": {"Fri, 02 Jan 2026 03:04:05 GMT"}},
		} {
			got, want := answer(t, first, target, header), answer(t, loaded, target, header)
			if got.StatusCode != want.StatusCode || !reflect.DeepEqual(got.Header, want.Header) || !reflect.DeepEqual(got.Body, want.Body) {
				t.Errorf("%s %v:\n%v\n%v", target, header, got, want)
			}
		}
	}
}

// Run reads the bodies, and once.
func TestSketchIsFilled(t *testing.T) {
	root, _ := release(t, map[string]string{"a.html": "a", "b.html": "b"})
	store := sketched(t, options(root))
	if body, ok := store.Snapshot().Lookup("/a.html").Representations[0].Bytes(); ok {
		t.Fatalf("%q is in memory already", body)
	}
	run(t, store)
	eventually(t, store, "/a.html", "a")
	eventually(t, store, "/b.html", "b")
	if s := store.Snapshot(); s.Unread != 0 || s.MemoryFiles != 2 || s.Changed != 2 {
		t.Errorf("%d to be read, %d in memory, %d changed", s.Unread, s.MemoryFiles, s.Changed)
	}
}

// A file that is another one by the time it is asked for is declined.
func TestSketchDeclines(t *testing.T) {
	root, dir := release(t, map[string]string{"kept.html": "kept", "longer.html": "a", "gone.html": "a"})
	first := sketched(t, options(root)).Snapshot()
	put(t, dir, "longer.html", "longer")
	if err := os.Remove(filepath.Join(dir, "gone.html")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"kept": 200, "longer": 418, "gone": 418} {
		if got := answer(t, first, "/"+name+".html", http.Header{}); got.StatusCode != want {
			t.Errorf("%s: %s, want %d", name, got.Status, want)
		}
	}
}
