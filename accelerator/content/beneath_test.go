package content

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The short cut reaches what os.Root reaches, and nothing else.
func TestBeneath(t *testing.T) {
	outside := tree(t, map[string]string{"secret": "x"})
	root := tree(t, map[string]string{"a/b/file": "1234"})
	for name, target := range map[string]string{
		"down":     "a/b/file",
		"a/up":     "../a/b/file",
		"dir":      "a/b",
		"chain":    "dir/file",
		"out":      "../" + filepath.Base(outside) + "/secret",
		"in-again": "../" + filepath.Base(root) + "/a/b/file",
		"absolute": filepath.Join(root, "a/b/file"),
		"magic":    "/proc/self/root",
		"loop":     "loop",
		"dangling": "nowhere",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	top, err := openConfined(root)
	if err != nil {
		t.Fatal(err)
	}
	reached := 0
	for _, name := range []string{
		"a/b/file", "down", "a/up", "dir", "chain", "dir/file", "out", "in-again", "absolute", "magic", "loop", "dangling",
		"none", "..", "a/../../x", "a/b/file/x",
	} {
		want, wantErr := top.Root.Stat(name)
		if wantErr == nil {
			reached++
		}
		if f := top.beneath(name, unix.O_PATH); (f != nil) != (wantErr == nil) {
			t.Errorf("%s: the short cut reaches it: %v; os.Root: %v", name, f != nil, wantErr)
		} else if f != nil {
			f.Close()
		}
		got, gotErr := top.Stat(name)
		if (gotErr == nil) != (wantErr == nil) || gotErr != nil && gotErr.Error() != wantErr.Error() {
			t.Errorf("%s: %v, want %v", name, gotErr, wantErr)
		} else if gotErr == nil && identityOf(got) != identityOf(want) {
			t.Errorf("%s: another file", name)
		}
	}
	if reached != 6 {
		t.Errorf("%d of the names lead to something, want 6", reached)
	}
}
