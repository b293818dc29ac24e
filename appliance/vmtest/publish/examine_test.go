package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/image/instance"
	"ramjet/appliance/release"
	"ramjet/appliance/vmtest"
)

// read reads all files of a folder.
func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		path, _ := filepath.Rel(dir, name)
		files[path] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// same compares a release with the files of a version.
func same(found, version map[string][]byte) bool { return maps.EqualFunc(found, version, bytes.Equal) }

// examine looks at a disk as a boot would find it: the journal is replayed, then all releases have to be what their
// manifests say, and contents what their names say. It returns what is live.
func examine(t *testing.T, image string) map[string][]byte {
	t.Helper()
	run := func(most int, name string, args ...string) {
		t.Helper()
		program, err := instance.LookTool(name, "e2fsprogs")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), program, args...)
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() > most {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	run(1, "e2fsck", "-E", "journal_only", "-p", image) // e2fsck(8): 1 is that something was done.
	run(0, "e2fsck", "-f", "-n", image)                 // And then there is nothing to mend.
	dir := vmtest.TempDir(t)
	run(0, "debugfs", "-R", "rdump / "+dir, image)
	names, err := os.ReadDir(filepath.Join(dir, "releases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		whole(t, dir, name.Name())
	}
	err = filepath.WalkDir(filepath.Join(dir, ".ramjet", "blobs"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != d.Name() {
			t.Errorf("the content %s is another one", d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	live, err := os.Readlink(filepath.Join(dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, filepath.Join(dir, live))
}

// whole compares a release with its manifest.
func whole(t *testing.T, dir, id string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, ".ramjet", "manifests", id+".manifest"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := release.ParseManifest(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, filepath.Join(dir, "releases", id))
	left := maps.Clone(files)
	for _, e := range m {
		if sum := sha256.Sum256(files[e.Path]); sum != e.Hash {
			t.Errorf("release %s: %s is another file than the manifest's, or none", id, e.Path)
		}
		delete(left, e.Path)
	}
	if len(left) > 0 {
		t.Errorf("release %s has %d files that are not in its manifest", id, len(left))
	}
}
