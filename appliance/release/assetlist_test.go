package release

import (
	"os"
	"path/filepath"
	"testing"
)

// The list beside a manifest saves reading that; one that is not right, whatever the reason, is made anew from it.
func TestAssetList(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	first := mustPublish(t, s, site{"index.html": "1", "one.js": "one", "two.css": "two"})
	second := mustPublish(t, s, site{"index.html": "2"})
	file := func(r Release, end string) string { return filepath.Join(root, manifestsName, r.ID+end) }
	list := file(first, assetListEnd)
	right, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(file(second, assetListEnd))
	if err != nil {
		t.Fatal(err)
	}
	want := site{"one.js": "one", "two.css": "two"}
	flip := func(when string) {
		t.Helper()
		if _, err := s.Flip(t.Context(), second.ID, "me"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if got := keptIn(t, root); !equal(got, want) {
			t.Errorf("%s: %v is kept", when, got)
		}
	}
	for name, text := range map[string][]byte{"empty": nil, "cut": right[:len(right)-5], "of another release": foreign, "of other bytes": append(right[:len(right):len(right)], right[65:]...)} {
		if err := os.WriteFile(list, text, 0o600); err != nil {
			t.Fatal(err)
		}
		flip(name)
		if now, err := os.ReadFile(list); err != nil || string(now) != string(right) {
			t.Errorf("%s: it was not made anew: %q, %v", name, now, err)
		}
	}
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	flip("none")
	// With the list, the manifest is not read.
	manifest := file(first, ".manifest")
	if err := os.Rename(manifest, manifest+".aside"); err != nil {
		t.Fatal(err)
	}
	flip("no manifest")
	if err := os.Rename(manifest+".aside", manifest); err != nil {
		t.Fatal(err)
	}
	// Of other globs it is another one.
	want = site{"two.css": "two"}
	if err := s.SetAssets(t.Context(), Globs{"*.css"}); err != nil {
		t.Fatal(err)
	}
	flip("other globs")
	// It goes with its release.
	if err := s.Keep(1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(list); !os.IsNotExist(err) {
		t.Errorf("the release is removed, its list is not: %v", err)
	}
}
