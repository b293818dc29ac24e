package content

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// releases makes a site of two releases of which the second is live, with one file of the first that is kept.
func releases(t *testing.T) (root string) {
	t.Helper()
	root = tree(t, map[string]string{
		"releases/1/index.html": "one", "releases/1/same.txt": "the same",
		"releases/2/index.html": "two", "releases/2/app.css": "new", "releases/2/text.js": "of the second release, and longer",
		".ramjet/assets/app.css": "old", ".ramjet/assets/js/app-1.js": "of the first release", ".ramjet/assets/js/index.html": "no page",
		".ramjet/assets/text.js.gz": "packed",
	})
	if err := os.Link(filepath.Join(root, "releases/1/same.txt"), filepath.Join(root, "releases/2/same.txt")); err != nil {
		t.Fatal(err)
	}
	flip(t, root, "2")
	return root
}

func flip(t *testing.T, root, id string) {
	t.Helper()
	link := filepath.Join(root, "current")
	if err := os.Symlink("releases/"+id, link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
}

func TestKept(t *testing.T) {
	root := releases(t)
	store, s := load(t, options(root))
	for path, want := range map[string]string{"/": "two", "/app.css": "new", "/js/app-1.js": "of the first release", "/js/index.html": "no page"} {
		if o := s.Lookup(path); o == nil || string(o.Representations[0].body) != want {
			t.Errorf("%s: %v, want %q", path, o, want)
		}
	}
	// A kept file is not the compressed form of a new one, and a folder of kept files is no page.
	if o := s.Lookup("/text.js"); len(o.Representations) != 1 {
		t.Errorf("%d forms", len(o.Representations))
	}
	for _, path := range []string{"/js/", "/js", "/.ramjet/assets/app.css"} {
		if o := s.Lookup(path); o != nil {
			t.Errorf("%s is there", path)
		}
	}
	// Without releases it is a folder like all others whose names begin with a dot.
	if err := os.Remove(filepath.Join(root, "current")); err != nil {
		t.Fatal(err)
	}
	if err := store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if o := store.Snapshot().Lookup("/js/app-1.js"); o != nil {
		t.Error("kept files are served without a release")
	}
}

// What two releases have in common, by a hard link, is not read again, although a link more has changed its ctime; and it
// does not depend on the release that it was read from.
func TestFlipTakesOver(t *testing.T) {
	for name, memory := range map[string]int64{"in memory": 1 << 20, "from disk": 0} {
		t.Run(name, func(t *testing.T) {
			root := releases(t)
			o := options(root)
			o.Memory, o.MemoryPerFile, o.OpenFiles = memory, memory, 0
			store, before := load(t, o)
			if err := os.Link(filepath.Join(root, "releases/2/same.txt"), filepath.Join(root, "another name")); err != nil {
				t.Fatal(err)
			}
			flip(t, root, "1")
			if err := os.RemoveAll(filepath.Join(root, ".ramjet")); err != nil {
				t.Fatal(err)
			}
			if err := store.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(root, "releases/2")); err != nil {
				t.Fatal(err)
			}
			after := store.Snapshot()
			was, is := before.Lookup("/same.txt").Representations[0], after.Lookup("/same.txt").Representations[0]
			if memory > 0 && &was.body[0] != &is.body[0] {
				t.Error("it was read again")
			}
			body, err := is.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if after.Changed == 0 || after.Files != 2 {
				t.Errorf("%d of %d files changed", after.Changed, after.Files)
			}
		})
	}
}

// What a flip does not change stays the very same object, with the page that was rendered of it; whatever it depends on.
func TestFlipShares(t *testing.T) {
	root := releases(t)
	text := strings.Repeat("text ", 20)
	for name, content := range map[string]string{"page.html": text, "page.html.gz": "packed", "form.html": text, "form.html.gz": "packed"} {
		put(t, root, "releases/1/"+name, content)
		if err := os.Link(filepath.Join(root, "releases/1", name), filepath.Join(root, "releases/2", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(root, "releases/1/form.html.gz")); err != nil {
		t.Fatal(err)
	}
	o := options(root)
	store, before := load(t, o)
	shared := func(after *Snapshot, path string) bool { return before.Lookup(path) == after.Lookup(path) }
	next := func() *Snapshot {
		t.Helper()
		if err := store.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return store.Snapshot()
	}
	flip(t, root, "1")
	after := next()
	if !shared(after, "/same.txt") || !shared(after, "/page.html") {
		t.Error("what is the same was made anew")
	}
	if shared(after, "/index.html") || shared(after, "/form.html") || after.Lookup("/form.html").Vary() {
		t.Error("what has changed is as it was")
	}
	before = after
	o.CacheControl = []CacheControl{{Match: NewPattern(".txt"), Value: "no-cache"}}
	store.SetOptions(o)
	after = next()
	if shared(after, "/same.txt") || after.Lookup("/same.txt").CacheControl != "no-cache" || !shared(after, "/page.html") {
		t.Error("another Cache-Control is not heeded, or by others too")
	}
	before = after
	if err := os.Chmod(filepath.Join(root, "releases/1/same.txt"), 0o640); err != nil {
		t.Fatal(err)
	}
	after = next()
	if shared(after, "/same.txt") || after.Lookup("/same.txt").Mode != 0o640 {
		t.Error("another mode is not heeded")
	}
}
