package accesslog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sizes returns the sizes of the files of a folder by name.
func sizes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = info.Size()
	}
	return all
}

// mustOpen opens a file destination.
func mustOpen(t *testing.T, o Options) *file {
	t.Helper()
	f, err := openFile(&o, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	return f
}

func mustWrite(t *testing.T, f *file, text string) {
	t.Helper()
	if n, err := f.write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("%d of %d bytes written: %v", n, len(text), err)
	}
}

// No file is larger than it may be, and all together are not at any time; the
// oldest go.
func TestRotationBySize(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("log.000007", strings.Repeat("x", 50)) // of an earlier run
	write("log.gz", "not ours")
	write("log.12", "not ours either")
	write("other.000001", "nor this")
	o := Options{To: Destination{File: filepath.Join(dir, "log")}, RotateBytes: 100, KeepBytes: 350}
	f := mustOpen(t, o)
	for i := range 40 {
		mustWrite(t, f, fmt.Sprintf("line %3d of thirty bytes ......\n", i))
		total := int64(0)
		for name, size := range sizes(t, dir) {
			if name == "log" || strings.HasPrefix(name, "log.0") {
				if total += size; size > 100 {
					t.Errorf("%s has %d bytes", name, size)
				}
			}
		}
		if total > 350 {
			t.Errorf("all together have %d bytes", total)
		}
	}
	got := sizes(t, dir)
	want := map[string]int64{"log": 32, "log.000020": 96, "log.000019": 96, "log.gz": 8, "log.12": 15, "other.000001": 8}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "log.000020")); err != nil || !strings.HasPrefix(string(text), "line  36") {
		t.Errorf("%q, %v", text, err)
	}
}

// A cap that was lowered counts at once.
func TestKeepBytesAtOpen(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("log.%06d", i)), make([]byte, 100), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, Options{To: Destination{File: filepath.Join(dir, "log")}, RotateBytes: 100, KeepBytes: 300})
	if got := sizes(t, dir); len(got) != 3 || got["log.000003"] != 100 || got["log.000004"] != 100 {
		t.Errorf("%v", got)
	}
}

func TestRotationByAge(t *testing.T) {
	dir := t.TempDir()
	o := Options{To: Destination{File: filepath.Join(dir, "log")}, RotateAge: time.Hour}.withDefaults()
	f := mustOpen(t, o)
	tick := func(after time.Duration) {
		t.Helper()
		if err := f.tick(time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
	}
	tick(2 * time.Hour) // Empty: nothing to end.
	mustWrite(t, f, "one\n")
	tick(time.Minute)
	if got := sizes(t, dir); len(got) != 1 {
		t.Errorf("%v", got)
	}
	// The age outlives the program where the file system knows it.
	again := mustOpen(t, o)
	if _, ok := f.birth(); ok && again.born.After(time.Now()) || again.size != 4 {
		t.Errorf("a file of %d bytes of %s", again.size, again.born)
	}
	tick(time.Hour)
	if got := sizes(t, dir); len(got) != 2 || got["log"] != 0 || got["log.000001"] != 4 {
		t.Errorf("%v", got)
	}
}

// What was cut by a power failure does not swallow the next line.
func TestTornEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("whole\ntorn"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, mustOpen(t, Options{To: Destination{File: path}}.withDefaults()), "next\n")
	if text, err := os.ReadFile(path); err != nil || string(text) != "whole\ntorn\nnext\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// Of a write that was cut by a full disk (here: by the limit of a file's size) only
// whole lines stay.
func TestFullDisk(t *testing.T) {
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	f := mustOpen(t, Options{To: Destination{File: filepath.Join(dir, "log")}}.withDefaults())
	mustWrite(t, f, "first\n")
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20, Max: old.Max}); err != nil {
		t.Skip(err)
	}
	n, err := f.write([]byte("second\nthird\nfourth\n"))
	if e := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); e != nil {
		t.Fatal(e)
	}
	if n != len("second\nthird\n") || err == nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	mustWrite(t, f, "fourth\n")
	if text, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(text) != "first\nsecond\nthird\nfourth\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// A file that somebody moved away stays as it is, and a new one is begun.
func TestMovedAway(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	f := mustOpen(t, Options{To: Destination{File: path}, RotateBytes: 10, KeepBytes: 100})
	mustWrite(t, f, "one....\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, f, "two....\n")
	if got := sizes(t, dir); fmt.Sprint(got) != fmt.Sprint(map[string]int64{"log": 14, "log.old": 8}) {
		t.Errorf("%v", got)
	}
}

// Reopen is for logrotate: the old file is whole, the next line is in the new one.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l := run(t, Options{Format: Common, To: Destination{File: path}})
	ring := l.NewRing()
	ring.Append(request("/old"))
	eventually(t, "it is written", func() bool { return l.Stats().Lines == 1 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	eventually(t, "the new file is there", func() bool { _, err := os.Stat(path); return err == nil })
	ring.Append(request("/new"))
	l.end()
	if got := targets(t, path); strings.Join(got, " ") != "/new" {
		t.Errorf("%q", got)
	}
	if got := targets(t, path+".1"); strings.Join(got, " ") != "/old" {
		t.Errorf("%q", got)
	}
}
