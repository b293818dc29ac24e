package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A compressed form is not older than its file, in whatever order the two came and whatever the clock said: the accelerator
// would not serve it. One of what the file was before is.
func TestForms(t *testing.T) {
	clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	root := t.TempDir()
	s := newStore(t, root)
	s.Now = func() time.Time { return clock }
	var files site
	modTime := func(name string) time.Time {
		info, err := os.Stat(filepath.Join(root, currentName, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	young := func(t *testing.T) {
		t.Helper()
		for form := range files {
			if page, packed := modTime("a/page.html"), modTime(form); strings.HasPrefix(form, "a/page.html.") && packed.Before(page) {
				t.Errorf("%s is of %v, the page of %v", form, packed, page)
			}
		}
	}
	files = site{"a/page.html": "page", "a/page.html.br": "br", "a/page.html.zst": "zst"}
	mustPublish(t, s, files)
	young(t)

	clock = clock.Add(-24 * time.Hour)
	files["a/page.html.gz"] = "gz"
	mustPublish(t, s, files)
	young(t)

	// The page rots, and is sent again.
	clock = clock.Add(48 * time.Hour)
	page := filepath.Join(root, currentName, "a/page.html")
	if err := os.WriteFile(page, []byte("gone"), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Scrub(t.Context(), 1<<30); err != nil || len(found.Rotten) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	mustPublish(t, s, files)
	if got := live(t, root); !equal(got, files) {
		t.Errorf("%v is live", got)
	}
	young(t)

	// A page that has changed, with the forms of what it was: they stay older, or they would be served in its place.
	clock = clock.Add(time.Hour)
	files["a/page.html"] = "later"
	mustPublish(t, s, files)
	for form := range files {
		if form != "a/page.html" && !modTime(form).Before(modTime("a/page.html")) {
			t.Errorf("%s is as young as the page, which it is not a form of", form)
		}
	}
}
