package content

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree writes files into a fresh folder, settled long ago. A name that ends in /
// is a folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		put(t, root, name, text)
	}
	return root
}

// put writes one file and dates it back.
func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	date(t, path, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
}

func date(t *testing.T, path string, when time.Time) {
	t.Helper()
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func options(root string) Options {
	return Options{
		Root: root, Index: []string{"index.html"}, Dotfiles: []string{".well-known"}, Hidden: []string{"ramjet.json"},
		Memory: 1 << 20, MemoryPerFile: 1 << 10, OpenFiles: 2, Charset: "utf-8", Settle: 50 * time.Millisecond,
	}
}

func load(t *testing.T, o Options) (*Store, *Snapshot) {
	t.Helper()
	s := NewStore(o, slog.New(slog.DiscardHandler))
	if err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s, s.Snapshot()
}

func TestLoadLeavesOut(t *testing.T) {
	outside := tree(t, map[string]string{"secret.html": "secret"})
	root := tree(t, map[string]string{
		".hidden": "x", ".git/config": "x", "ramjet.json": "{}", "sub/.htaccess": "x", "a.html": "a",
	})
	links := map[string]string{
		"out":      filepath.Join(outside, "secret.html"), // absolute
		"up":       "../" + filepath.Base(outside) + "/secret.html",
		"outdir":   outside,
		"dangling": "nowhere",
		"loop":     "loop",
		"sub/up":   "..",
		"sub/dots": "../../../../../../../../etc/hostname",
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo.html"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, s := load(t, options(root))
	var got []string
	for path := range s.objects {
		got = append(got, path)
	}
	if want := []string{"/a.html"}; !slices.Equal(got, want) {
		t.Errorf("served %q, want %q", got, want)
	}
	for name := range links {
		if !slices.ContainsFunc(s.Skipped, func(k Skip) bool { return strings.HasPrefix(k.Path, "/"+name) && k.Why != "" }) {
			t.Errorf("%s is left out without a reason", name)
		}
	}
}

func TestLoadFinds(t *testing.T) {
	root := tree(t, map[string]string{
		"index.html": "home", "a.html": "a", "sub/index.html": "sub", "bare/b.txt": "b",
		".well-known/security.txt": "s", "sub/ramjet.json": "{}", "höhe.html": "h", "no-extension": "n",
	})
	if err := os.Symlink("../a.html", filepath.Join(root, "sub/link.html")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("sub", filepath.Join(root, "alias")); err != nil {
		t.Fatal(err)
	}
	_, s := load(t, options(root))
	for path, body := range map[string]string{
		"/": "home", "/index.html": "home", "/a.html": "a", "/sub/": "sub", "/sub/index.html": "sub", "/bare/b.txt": "b",
		"/.well-known/security.txt": "s", "/sub/ramjet.json": "{}", "/höhe.html": "h", "/no-extension": "n",
		"/sub/link.html": "a", "/alias/": "sub", "/alias/link.html": "a",
	} {
		o := s.Lookup(path)
		if o == nil {
			t.Errorf("%s is missing; left out: %v", path, s.Skipped)
		} else if got := string(o.Representations[0].body); got != body {
			t.Errorf("%s is %q, want %q", path, got, body)
		}
	}
	if a, link := s.Lookup("/a.html").Representations[0], s.Lookup("/sub/link.html").Representations[0]; &a.body[0] != &link.body[0] {
		t.Error("a file of two names was read twice")
	}
	for path, to := range map[string]string{"/sub": "/sub/", "/alias": "/alias/"} {
		if o := s.Lookup(path); o == nil || o.Location != to {
			t.Errorf("%s does not redirect to %s", path, to)
		}
	}
	for _, path := range []string{"/bare", "/bare/", "", "//"} {
		if s.Lookup(path) != nil {
			t.Errorf("%q has an answer", path)
		}
	}
	if got := s.Lookup("/a.html").ContentType; got != "text/html; charset=utf-8" {
		t.Errorf("type %q", got)
	}
	if got := s.Lookup("/no-extension").ContentType; got != "" {
		t.Errorf("type %q for an unknown name", got)
	}
}

func TestSiblings(t *testing.T) {
	text := strings.Repeat("text ", 20)
	root := tree(t, map[string]string{
		"a.html": text, "a.html.br": "br", "a.html.gz": "gzip", "a.html.zst": "zstd",
		"old.html": text, "old.html.gz": "gzip",
		"large.html": "x", "large.html.gz": "gzip",
		"empty.html": text, "empty.html.gz": "",
		"private.html": text, "private.html.gz": "gzip",
		"alone.html.br": "br",
	})
	date(t, filepath.Join(root, "old.html.gz"), time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	if err := os.Chmod(filepath.Join(root, "private.html.gz"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, s := load(t, options(root))
	etags := map[string]bool{}
	for _, r := range s.Lookup("/a.html").Representations {
		etags[r.ETag] = true
		if r.LastModified != "Fri, 02 Jan 2026 03:04:05 GMT" {
			t.Errorf("%s: Last-Modified %q", r.Encoding, r.LastModified)
		}
	}
	if len(etags) != 4 {
		t.Errorf("%d different ETags for 4 representations", len(etags))
	}
	for _, name := range []string{"old", "large", "empty", "private"} {
		if o := s.Lookup("/" + name + ".html"); o.Vary() {
			t.Errorf("%s.html: its sibling stands for it", name)
		}
	}
	if s.Lookup("/alone.html") != nil {
		t.Error("a sibling without its file makes one")
	}
}

func TestMemoryBudget(t *testing.T) {
	root := tree(t, map[string]string{
		"a": "1", "b": strings.Repeat("2", 100), "c": strings.Repeat("3", 101), "d": strings.Repeat("4", 2000),
	})
	o := options(root)
	o.Memory, o.MemoryPerFile, o.OpenFiles = 110, 1000, 1
	_, s := load(t, o)
	for path, want := range map[string]string{
		"/a": "from memory", "/b": "from memory", "/c": "from an open file", "/d": "from a file opened for the request",
	} {
		if got := s.Lookup(path).Representations[0].Where(); got != want {
			t.Errorf("%s is sent %s, want %s", path, got, want)
		}
	}
	if s.MemoryBytes != 101 || s.MemoryFiles != 2 || s.OpenFiles != 1 {
		t.Errorf("counted %d bytes of %d files in memory, %d open", s.MemoryBytes, s.MemoryFiles, s.OpenFiles)
	}
}

func TestLoadErrorKeepsSnapshot(t *testing.T) {
	root := tree(t, map[string]string{"a.html": "a"})
	o := options(filepath.Join(root, "link"))
	if err := os.Symlink(".", o.Root); err != nil {
		t.Fatal(err)
	}
	store, before := load(t, o)
	if err := os.Remove(o.Root); err != nil {
		t.Fatal(err)
	}
	if err := store.Load(context.Background()); err == nil {
		t.Error("a root that is gone loads without error")
	}
	if store.Snapshot() != before {
		t.Error("the snapshot was lost")
	}
}

func TestReloadTakesOver(t *testing.T) {
	root := tree(t, map[string]string{"same.html": "same", "new.html": "old"})
	store, before := load(t, options(root))
	put(t, root, "new.html", "new")
	time.Sleep(60 * time.Millisecond)
	if err := store.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	after := store.Snapshot()
	body := func(s *Snapshot, path string) []byte { return s.Lookup(path).Representations[0].body }
	if &body(before, "/same.html")[0] != &body(after, "/same.html")[0] {
		t.Error("an unchanged file was read again")
	}
	if got := string(body(after, "/new.html")); got != "new" {
		t.Errorf("a changed file is %q", got)
	}
}

// A file that is being written keeps its last good state.
func TestUnsettled(t *testing.T) {
	root := tree(t, map[string]string{"a.html": "good"})
	store, _ := load(t, options(root))
	w, err := os.OpenFile(filepath.Join(root, "a.html"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString("ba"); err != nil { // Half of it, at full length.
		t.Fatal(err)
	}
	time.Sleep(60 * time.Millisecond) // Settled, yet still open.
	if err := store.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := store.Snapshot()
	if got := string(s.Lookup("/a.html").Representations[0].body); got != "good" || s.Unsettled != 1 {
		t.Errorf("half-written: %q, unsettled %d", got, s.Unsettled)
	}
	if _, err := w.WriteString("d!"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	time.Sleep(60 * time.Millisecond)
	if err := store.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	s = store.Snapshot()
	if got := string(s.Lookup("/a.html").Representations[0].body); got != "bad!" || s.Unsettled != 0 {
		t.Errorf("written: %q, unsettled %d", got, s.Unsettled)
	}
}

func TestClock(t *testing.T) {
	root := tree(t, map[string]string{"old.html": "o", "now.html": "n", "future.html": "f"})
	date(t, filepath.Join(root, "old.html"), time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC))
	date(t, filepath.Join(root, "future.html"), time.Date(2037, 1, 1, 0, 0, 0, 0, time.UTC))
	modified := func(s *Snapshot, path string) string { return s.Lookup(path).Representations[0].LastModified }
	now := time.Date(2026, 5, 6, 7, 8, 9, 500, time.UTC)

	store := NewStore(options(root), slog.New(slog.DiscardHandler))
	store.Now = func() time.Time { return now }
	if err := store.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/old.html": "", "/now.html": "Fri, 02 Jan 2026 03:04:05 GMT", "/future.html": "Wed, 06 May 2026 07:08:09 GMT",
	} {
		if got := modified(store.Snapshot(), path); got != want {
			t.Errorf("%s: Last-Modified %q, want %q", path, got, want)
		}
	}
	now = time.Date(1970, 1, 1, 0, 0, 30, 0, time.UTC)
	if err := store.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := modified(store.Snapshot(), "/old.html"); got != "" {
		t.Errorf("without a clock: Last-Modified %q", got)
	}
}

// What an error says of the disk is not taken for a file that is not there.
func TestFailing(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ESHUTDOWN, syscall.EMFILE} {
		if !failing(&fs.PathError{Op: "statat", Path: "a", Err: errno}) {
			t.Errorf("%v is taken for an error of one file", errno)
		}
	}
	for _, errno := range []syscall.Errno{syscall.EACCES, syscall.ENOENT, syscall.ELOOP} {
		if failing(&fs.PathError{Op: "openat", Path: "a", Err: errno}) {
			t.Errorf("%v is taken for an error of the disk", errno)
		}
	}
}
