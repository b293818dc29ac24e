package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadFails(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge.json")
	if err := os.WriteFile(huge, []byte(strings.Repeat("\n", MaxFile+5)), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{\n}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:  dir + ": not a regular file",
		fifo: fifo + ": not a regular file",
		huge: huge + ":1:1: the file is larger than 1MiB",
		bad:  bad + ":2:2: '}' closes nothing",
	} {
		if _, err := Load(path); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := Load(filepath.Join(dir, "none.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ramjet.json")
	if err := os.WriteFile(path, []byte("\uFEFF// mine\r\n{\"content\": {\"root\": \"site\"},\r\n}\r\n// end"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Content.Root = filepath.Join(dir, "site")
	if diff := cmp.Diff(want, got, prefixes); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{
		"", "\n", "\uFEFF", " \t\r\n", "{}", "// nothing", "/* nothing */", "// nothing\n{ /* here */ } // either",
		`{"content": {}, "rules": {}, "forward": {}, "limits": {}, "backends": []}`, "{} /*/ { */",
	} {
		got, err := Parse("x", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(Default(), got, prefixes); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// A configuration shares nothing with another, so that its owner may fill in the flags.
func TestDefaultIsFresh(t *testing.T) {
	a := Default()
	a.Content.Index[0], a.Content.Types[".x"] = "changed", "changed"
	b := Default()
	if b.Content.Index[0] == "changed" || len(b.Content.Types) > 0 {
		t.Error("two defaults share memory")
	}
}
