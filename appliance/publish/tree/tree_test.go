package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/release"
)

// folder makes one, whose files are older than a moment.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string, o Options) *Tree {
	t.Helper()
	tree, err := Read(context.Background(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// What the accelerator would serve is published, and the rest is named.
func TestRules(t *testing.T) {
	dir := folder(t, map[string]string{
		"index.html": "home", "a/b/größe 日本.txt": "x", ".git/config": "x", ".well-known/acme": "x", "a/.hidden": "x", "ramjet.json": "{}", "a/ramjet.json": "{}",
		"lost+found/x": "x", "cgi": "#!", "private": "x", "line\nbreak": "x", "target/page": "y",
	})
	outside := folder(t, map[string]string{"secret": "secret"})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir+"/cgi", 0o755))
	must(os.Chmod(dir+"/private", 0o600))
	must(unix.Mkfifo(dir+"/fifo", 0o644))
	must(os.Symlink("a/b", dir+"/folder"))
	must(os.Symlink("../index.html", dir+"/a/home"))
	for name, to := range map[string]string{"out": outside, "out-file": outside + "/secret", "dotdot": "../..", "nowhere": "none", "a/loop": "..", "self": "self"} {
		must(os.Symlink(to, filepath.Join(dir, name)))
	}
	tree := read(t, dir, Options{Dotfiles: []string{".well-known"}})
	var paths []string
	for _, f := range tree.Files {
		paths = append(paths, f.Path)
		text, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil || f.Hash != sha256.Sum256(text) || f.Size() != int64(len(text)) {
			t.Errorf("%s: %s, %v", f.Path, f.Hash, err)
		}
	}
	if want := []string{".well-known/acme", "a/b/größe 日本.txt", "a/home", "a/ramjet.json", "folder/größe 日本.txt", "index.html", "target/page"}; !slices.Equal(paths, want) {
		t.Errorf("files: %q", paths)
	}
	left := map[string]string{}
	for _, l := range tree.Left {
		left[l.Path] = l.Why
	}
	for path, why := range map[string]string{
		".git/": "dot", "a/.hidden": "dot", "ramjet.json": "layout", "lost+found/": "layout", "cgi": "programs", "private": "everybody", "line\nbreak": "control character",
		"fifo": "neither", "out": "out of the folder", "out-file": "out of the folder", "dotdot": "out of the folder", "nowhere": "nowhere", "a/loop/": "back", "self": "nowhere",
	} {
		if !strings.Contains(left[path], why) {
			t.Errorf("%q: %q", path, left[path])
		}
		delete(left, path)
	}
	if len(left) > 0 {
		t.Errorf("left out as well: %v", left)
	}
	if all := read(t, dir, Options{AnyMode: true}); len(all.Files) != 8 {
		t.Errorf("with any mode: %d files", len(all.Files))
	}
	if tree, err := Read(context.Background(), dir+"/none", Options{}); err == nil {
		t.Errorf("%+v", tree)
	}
}

// What has not changed is not read again; what has is.
func TestCache(t *testing.T) {
	dir := folder(t, map[string]string{"a": "1", "b": "2", "c/d": "3"})
	hashed := 0
	o := Options{Cache: filepath.Join(t.TempDir(), "deep", "files"), Reads: func(files int, _ int64) { hashed = files }}
	hashes := func(want int) map[string]release.Hash {
		t.Helper()
		all := map[string]release.Hash{}
		for _, f := range read(t, dir, o).Files {
			all[f.Path] = f.Hash
		}
		if hashed != want {
			t.Errorf("%d files were hashed, want %d", hashed, want)
		}
		return all
	}
	first := hashes(3)
	hashes(3) // They were too young.
	time.Sleep(settled + 100*time.Millisecond)
	hashes(3)
	if again := hashes(0); !maps.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
	// The same size, and its old time.
	info, err := os.Stat(dir + "/a")
	if err == nil {
		err = os.WriteFile(dir+"/a", []byte("X"), 0o644)
	}
	if err == nil {
		err = os.Chtimes(dir+"/a", time.Time{}, info.ModTime())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := hashes(1)["a"]; got != sha256.Sum256([]byte("X")) {
		t.Errorf("a change was not seen: %s", got)
	}
	o.Fresh = true
	hashes(3)
	o.Fresh = false
	text, err := os.ReadFile(o.Cache)
	if err != nil || strings.Count(string(text), "\n") != 2 {
		t.Fatalf("%s, %v", text, err)
	}
	for _, wrong := range []string{"", "x", "\x00\n\n\n", strings.ReplaceAll(string(text), " ", "  "), strings.Repeat("x", 1<<20), string(text[:len(text)/2]), strings.ToUpper(string(text))} {
		if err := os.WriteFile(o.Cache, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, dir, o).Files; len(got) != 3 || got[1].Hash != sha256.Sum256([]byte("2")) {
			t.Errorf("%.100q: %v", wrong, got)
		}
	}
}

// A file that is not what was read is not sent.
func TestChanged(t *testing.T) {
	dir := folder(t, map[string]string{"a": "1", "b": "2", "c": "3"})
	tree := read(t, dir, Options{})
	for i, change := range []func() error{
		func() error { return os.WriteFile(dir+"/a", []byte("other"), 0o644) },
		func() error { return os.Remove(dir + "/b") },
		func() error { return errors.Join(os.Remove(dir+"/c"), os.Symlink("/etc/passwd", dir+"/c")) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if f, err := tree.Open(&tree.Files[i]); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v, %v", tree.Files[i].Path, f, err)
		}
	}
}

func FuzzCache(f *testing.F) {
	hash := release.Hash(sha256.Sum256(nil))
	f.Add(fmt.Sprintf("%s 1 2 3 4 5 a b", hash))
	f.Fuzz(func(t *testing.T, line string) {
		if path, r, ok := parse(line); ok && !strings.HasSuffix(line, " "+path) {
			t.Errorf("%q: %q, %v", line, path, r)
		}
	})
}
