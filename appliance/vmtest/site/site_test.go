package site

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWalk tells links that stay in the tree from those that leave it.
func TestWalk(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "root")
	if err := os.MkdirAll(filepath.Join(root, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	written := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{filepath.Join(top, "outside"), filepath.Join(root, "dir", "file")} {
		if err := os.WriteFile(name, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, written, written); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		"a-up": "../outside", "b-absolute": "/etc/passwd", "c-dangling": "nowhere",
		"d-directory": "dir", "e-within": "dir/file", "dir/f-back": "../dir/file",
	} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	files, links, err := Walk(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files[0].Name != "dir/file" || files[0].Size != 4 || !files[0].Modified.Equal(written) {
		t.Errorf("files: %+v", files)
	}
	leaves := map[string]bool{"a-up": true, "b-absolute": true}
	within := map[string]bool{"e-within": true, "dir/f-back": true}
	for _, l := range links {
		if l.Leaves != leaves[l.Name] || (l.Target != "") != within[l.Name] {
			t.Errorf("link %+v", l)
		}
	}
	if len(links) != 6 {
		t.Errorf("%d links, want 6", len(links))
	}
}
