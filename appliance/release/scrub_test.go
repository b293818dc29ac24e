package release

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What has changed on the disk is found, said, and mended by publishing the same site again.
func TestScrub(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	if found, err := s.Scrub(t.Context(), 1<<30); err != nil || found.Contents != 0 {
		t.Errorf("nothing published: %+v, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(root, ownName)); err == nil {
		t.Error("a disk without releases was written to")
	}
	files := site{"index.html": "page", "a/good.txt": "good", "a/bad.txt": strings.Repeat("bad", 100_000)}
	first := mustPublish(t, s, files)
	files["index.html"] = "another page"
	second := mustPublish(t, s, files)
	begun := time.Now()
	found, err := s.Scrub(t.Context(), 100_000)
	if err != nil || found.Contents != 4 || found.Bytes != 300_020 || len(found.Rotten) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
	if took := time.Since(begun); took < 300*time.Millisecond { // The first 256 KiB are for nothing.
		t.Errorf("300 KB took %v", took)
	}
	bad := Hash(sha256.Sum256([]byte(files["a/bad.txt"])))
	f, err := os.OpenFile(filepath.Join(root, releasesName, first.ID, "a/bad.txt"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 200_000); err != nil {
		t.Fatal(err)
	}
	f.Close()
	found, err = s.Scrub(t.Context(), 1<<30)
	want := []string{second.ID + "/a/bad.txt", first.ID + "/a/bad.txt"}
	if err != nil || found.Contents != 4 || len(found.Rotten) != 1 || found.Rotten[0].Hash != bad || !slices.Equal(found.Rotten[0].Files, want) {
		t.Errorf("%+v, %v", found, err)
	}
	if last, err := s.LastScrub(); err != nil || last == nil || len(last.Rotten) != 1 || last.Time.IsZero() {
		t.Errorf("%+v, %v", last, err)
	}
	if n, err := send(s, files); err != nil || n != 1 {
		t.Errorf("%d contents are sent again, %v", n, err)
	}
	third := mustPublish(t, s, files)
	if third.ID == second.ID || !equal(live(t, root), files) {
		t.Errorf("release %s is live, with the rotten file still", third.ID)
	}
	if again := mustPublish(t, s, files); again.ID != third.ID {
		t.Errorf("published once more it is %s, not %s", again.ID, third.ID)
	}
	if found, err = s.Scrub(t.Context(), 1<<30); err != nil || len(found.Rotten) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
