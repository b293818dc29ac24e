package release

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
)

func TestIsAsset(t *testing.T) {
	for name, want := range map[string]bool{
		"app.js": true, "a/b.CSS": true, "x.mjs.br": true, "fonts/a.woff2": true, "main.wasm.gz": true,
		"logo-BQX3zYw1.svg": true, "img/photo.0123456789abcdef.jpg": true, "i_5f3a9c21.png.gz": true,
		"index.html": false, "logo.svg": false, "favicon.ico": false, "my-wedding-pictures.jpg": false, "a-1.png": false, "js": false, "": false, "a.gz": false,
	} {
		if got := isAsset(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// keptIn is what is in the directory of assets.
func keptIn(t *testing.T, root string) site {
	t.Helper()
	dir := filepath.Join(root, assetsName)
	if _, err := os.Stat(dir); err != nil {
		return site{}
	}
	return read(t, dir)
}

// A page that was loaded before a flip finds its files, whichever way the flip went, as long as its release is there.
func TestAssets(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	want := func(when string, files site) {
		t.Helper()
		if got := keptIn(t, root); !maps.Equal(got, files) {
			t.Errorf("%s: %v, want %v", when, got, files)
		}
	}
	first := mustPublish(t, s, site{"index.html": "1", "app.js": "a 1", "js/one.js": "one", "logo-12345678.png": "logo", "page.html": "p"})
	want("one release", site{})
	second := mustPublish(t, s, site{"index.html": "2", "app.js": "a 2", "js/two.js": "two"})
	old := site{"js/one.js": "one", "logo-12345678.png": "logo"}
	want("a second one", old)
	if inode(t, filepath.Join(root, assetsName, "js/one.js")).Ino != inode(t, filepath.Join(root, releasesName, first.ID, "js/one.js")).Ino {
		t.Error("it is a copy")
	}
	if _, err := s.Flip(t.Context(), first.ID, "me"); err != nil {
		t.Fatal(err)
	}
	want("back to the first one", site{"js/two.js": "two"})
	if _, err := s.Flip(t.Context(), second.ID, "me"); err != nil {
		t.Fatal(err)
	}
	want("and forth again", old)
	// What a crash has left, or somebody else has done, is mended by the next flip.
	for _, name := range []string{"js", "logo-12345678.png"} {
		if err := os.RemoveAll(filepath.Join(root, assetsName, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Flip(t.Context(), second.ID, "me"); err != nil {
		t.Fatal(err)
	}
	want("lost files", old)
	if err := os.WriteFile(filepath.Join(root, assetsList), []byte("x 1 a.js\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Flip(t.Context(), second.ID, "me"); err != nil {
		t.Fatal(err)
	}
	want("a broken list", old)
	// A name that is a directory now, or was one, is in nobody's way.
	mustPublish(t, s, site{"js/one.js/x.css": "x", "js/two.js": "other two", "index.html": "3"})
	got := keptIn(t, root)
	if got["app.js"] != "a 2" || got["logo-12345678.png"] != "logo" || got["js/two.js"] != "" {
		t.Errorf("a file that became a directory: %v", got)
	}
	// With their releases the files go, too.
	if err := s.Keep(1); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, s, site{"index.html": "4", "app.js": "a 4"})
	mustPublish(t, s, site{"index.html": "5", "app.js": "a 5"})
	want("only one is kept", site{})
	blobs := 0
	err := filepath.WalkDir(filepath.Join(root, blobsName), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			blobs++
		}
		return err
	})
	if err != nil || blobs != 2 {
		t.Errorf("%d blobs, %v", blobs, err)
	}
}
