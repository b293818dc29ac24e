package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := Write(filepath.Join(dir, "file"), []byte("x")); err == nil {
		t.Error("a directory that is not there is made")
	}
	for range 2 {
		if err := MakeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "file")
	if text, err := Read(name); text != nil || err != nil {
		t.Errorf("no file: %q, %v", text, err)
	}
	for _, text := range []string{"", "one", "two"} {
		if err := Write(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(name); got == nil || string(got) != text || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Write(name, []byte("three")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode: %v, %v", info, err)
	}
	for range 2 {
		if err := Write(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
