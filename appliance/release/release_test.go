package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"
)

// site is the files of a site: path and content.
type site map[string]string

func (s site) manifest() Manifest {
	var m Manifest
	for _, path := range slices.Sorted(maps.Keys(s)) { // Another order would be another announcement.
		m = append(m, Entry{sha256.Sum256([]byte(s[path])), int64(len(s[path])), path})
	}
	return m
}

func newStore(t testing.TB, root string) *Store {
	t.Helper()
	return &Store{Root: root, Log: slog.New(slog.DiscardHandler)}
}

// send sends what is missing, and returns how much that was.
func send(s *Store, files site) (int, error) {
	m := files.manifest()
	if err := m.Check(); err != nil {
		return 0, err
	}
	missing, err := announce(s, m)
	if err != nil {
		return 0, err
	}
	wanted := map[Hash]bool{}
	for _, one := range missing {
		wanted[one.Hash] = true
	}
	for _, content := range files {
		hash := Hash(sha256.Sum256([]byte(content)))
		if !wanted[hash] {
			continue
		}
		delete(wanted, hash)
		if err := receive(s, hash, int64(len(content)), 0, strings.NewReader(content)); err != nil {
			return 0, err
		}
	}
	return len(missing), nil
}

func announce(s *Store, m Manifest) ([]Missing, error) {
	text := m.Text()
	_, missing, err := s.Announce(context.Background(), int64(len(text)), bytes.NewReader(text))
	return missing, err
}

// receive has one content arrive.
func receive(s *Store, hash Hash, size, from int64, r io.Reader) error {
	_, err := s.Receive(context.Background(), io.MultiReader(strings.NewReader(Content{hash, size, from}.Line()), r))
	return err
}

func publish(s *Store, files site) (Release, error) {
	if _, err := send(s, files); err != nil {
		return Release{}, err
	}
	m := files.manifest()
	if err := m.Check(); err != nil {
		return Release{}, err
	}
	return s.CommitAnnounced(context.Background(), sha256.Sum256(m.Text()), How{By: "test"})
}

func mustPublish(t testing.TB, s *Store, files site) Release {
	t.Helper()
	r, err := publish(s, files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// live reads what `current` leads to.
func live(t testing.TB, root string) site {
	t.Helper()
	return read(t, filepath.Join(root, "current"))
}

func read(t testing.TB, dir string) site {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := site{}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		path, _ := filepath.Rel(dir, name)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func equal(a, b site) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func inode(t testing.TB, name string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

var first = site{
	"index.html": "<h1>one</h1>", "a/b/c.txt": "deep", "a/b.txt": "beside a directory", "a.txt": "before it", "a-b": "minus", "empty": "",
	"twice/1": "same", "twice/2": "same", "größe/日本語/ملف/emoji 🚀.txt": "alphabets", ".well-known/x": "dot", "a\\b": "backslash", "%2e%2e": "percent",
}

// A second release sends only what is new, and shares the rest with the first.
func TestPublish(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	defer syscall.Umask(syscall.Umask(0o077))
	one := mustPublish(t, s, first)
	if got := live(t, root); !equal(got, first) {
		t.Errorf("got %v", got)
	}
	if info, _ := os.Stat(filepath.Join(root, "current/a/b")); info.Mode().Perm() != 0o755 {
		t.Errorf("a directory has mode %v", info.Mode())
	}
	second := site{}
	for path, content := range first {
		second[path] = content
	}
	second["index.html"] = "<h1>two</h1>"
	delete(second, "a-b")
	if n, err := send(s, second); n != 1 || err != nil {
		t.Errorf("%d sent, %v", n, err)
	}
	two := mustPublish(t, s, second)
	if got := live(t, root); !equal(got, second) {
		t.Errorf("got %v", got)
	}
	if got := read(t, filepath.Join(root, "releases", one.ID)); !equal(got, first) {
		t.Errorf("the first release has become %v", got)
	}
	before, after := inode(t, root+"/releases/"+one.ID+"/a/b/c.txt"), inode(t, root+"/releases/"+two.ID+"/a/b/c.txt")
	if before.Ino != after.Ino || before.Mode&0o7777 != 0o644 || before.Nlink != 3 {
		t.Errorf("inodes %d and %d, mode %o, %d links", before.Ino, after.Ino, before.Mode, before.Nlink)
	}
	// The same once more is no release.
	if again := mustPublish(t, s, second); again.ID != two.ID {
		t.Errorf("%s is the same as %s", again.ID, two.ID)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 || all[0].ID != one.ID || all[0].Live || !all[1].Live || all[1].Files != len(second) || all[1].By != "test" {
		t.Errorf("%+v, %v", all, err)
	}
	for _, r := range all {
		if broken, err := s.Verify(context.Background(), r.ID); err != nil || len(broken) > 0 {
			t.Errorf("%s: %v, %v", r.ID, broken, err)
		}
	}
	// Verify can fail.
	if err := os.WriteFile(root+"/current/a/b/c.txt", []byte("DEEP"), 0o644); err != nil {
		t.Fatal(err)
	}
	if broken, err := s.Verify(context.Background(), two.ID); err != nil || !slices.Equal(broken, []string{"a/b/c.txt"}) {
		t.Errorf("%v, %v", broken, err)
	}
	for _, id := range []string{"", "..", "../x", "000009-00000000"} {
		if _, err := s.Verify(context.Background(), id); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, path := range []string{
		"", "/", "/etc/passwd", "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "a\x00b", "a\nb", "a\x7fb", "\xff", "a/\xc3\x28",
		"ramjet.json", "lost+found/x", "System Volume Information/x", strings.Repeat("a", 256), strings.Repeat("a/", 61) + "b",
		strings.Repeat("ab/", 40) + strings.Repeat(strings.Repeat("c", 200)+"/", 11),
	} {
		if err := CheckPath(path); err == nil {
			t.Errorf("%q can be published", path)
		}
		m := Manifest{{Path: path}}
		if err := m.Check(); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, path := range []string{"a", "a/ramjet.json", "..a", "a..", "...", "a/lost+found", strings.Repeat("a", 255), strings.Repeat("a/", 60) + "b", " ", "CON", "a:b"} {
		if err := CheckPath(path); err != nil {
			t.Error(err)
		}
	}
	for name, wrong := range map[string]Manifest{
		"no files":             {},
		"twice":                {{Path: "a"}, {Path: "b"}, {Path: "a"}},
		"file and directory":   {{Path: "a"}, {Path: "a-b"}, {Path: "a.txt"}, {Path: "a/b"}},
		"one hash, two sizes":  {{Path: "a", Size: 1}, {Path: "b", Size: 2}},
		"directory and a file": {{Path: "a/b/c"}, {Path: "a/b"}},
	} {
		if err := wrong.Check(); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseManifest(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, text := range []string{
		"", "\n", hash, hash + " 1", hash + " 1 ", hash + " -1 a", hash + " 01x a", hash[1:] + " 1 a", strings.ToUpper(hash) + " 1 a", hash + "  1 a",
		hash + " 1 ../a", hash + " 9999999999999 a", hash + " 1 a\n\n", hash + " 1 " + strings.Repeat("a/", 40000), "x" + hash[1:] + " 1 a",
	} {
		if m, err := ParseManifest(strings.NewReader(text)); !errors.Is(err, ErrRefused) {
			t.Errorf("%.100q: %v, %v", text, m, err)
		}
	}
	m, err := ParseManifest(strings.NewReader(hash + " 1 b c\n" + hash + " 1 a/b\n"))
	if err != nil || string(m.Text()) != hash+" 1 a/b\n"+hash+" 1 b c\n" {
		t.Errorf("%q, %v", m.Text(), err)
	}
	if _, err := ParseManifest(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut is no mistake of who sends: %v", err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(first.manifest().Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range m {
			if !filepath.IsLocal(e.Path) || filepath.Clean(e.Path) != e.Path {
				t.Errorf("%q leads elsewhere", e.Path)
			}
		}
		again, err := ParseManifest(bytes.NewReader(m.Text()))
		if err != nil || !slices.Equal(m, again) {
			t.Errorf("%q becomes %q, %v", m.Text(), again.Text(), err)
		}
	})
}

// What arrives is only counted if it is whole and right.
func TestReceive(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	content := strings.Repeat("0123456789abcdef", 200_000) // 3.2 MB
	hash, size := Hash(sha256.Sum256([]byte(content))), int64(len(content))
	m := Manifest{{hash, size, "big"}}
	missing := func() *Missing {
		t.Helper()
		all, err := announce(s, m)
		if err != nil || len(all) > 1 {
			t.Fatal(all, err)
		}
		if len(all) == 0 {
			return nil
		}
		return &all[0]
	}
	for name, wrong := range map[string]string{"another": "x" + content[1:], "moved": "x" + content} {
		if err := receive(s, hash, size, 0, strings.NewReader(wrong)); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := missing(); got == nil || got.Have != 0 {
		t.Errorf("missing: %v", got)
	}
	if err := receive(s, hash, size, 10, strings.NewReader(content[10:])); !errors.Is(err, ErrFrom) {
		t.Errorf("from 10: %v", err)
	}
	// A cut. The next one goes on behind it, or a bit before.
	if err := receive(s, hash, size, 0, strings.NewReader(content[:2_000_000])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	if got := missing(); got == nil || got.Have != 2_000_000 {
		t.Fatalf("missing: %v", got)
	}
	cut := io.MultiReader(strings.NewReader(content[1_900_000:2_500_000]), iotest.ErrReader(errors.New("gone")))
	if err := receive(s, hash, size, 1_900_000, cut); err == nil || !strings.HasSuffix(err.Error(), ": gone") {
		t.Errorf("cut: %v", err)
	}
	if got := missing(); got == nil || got.Have != 2_500_000 {
		t.Fatalf("missing: %v", got)
	}
	if _, err := s.Commit(context.Background(), m, How{}); !errors.As(err, new(*MissingError)) {
		t.Errorf("committed without: %v", err)
	}
	if err := receive(s, hash, size, 2_500_000, strings.NewReader(content[2_500_000:])); err != nil {
		t.Fatal(err)
	}
	if got := missing(); got != nil {
		t.Errorf("missing: %v", got)
	}
	if _, err := s.Commit(context.Background(), m, How{}); err != nil {
		t.Fatal(err)
	}
	if got := live(t, root)["big"]; got != content {
		t.Errorf("%d bytes are live", len(got))
	}
}

// A process that is started again hashes what it finds: a power cut may have left a name without its bytes.
func TestStartedAgain(t *testing.T) {
	root := t.TempDir()
	files := site{"a": "whole", "b": "torn!"}
	s := newStore(t, root)
	if _, err := send(s, files); err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(root, incomingName, Hash(sha256.Sum256([]byte("torn!"))).String())
	if err := os.WriteFile(torn, make([]byte, 5), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"build-000001-00000000/x", "gone-000002-00000000/y/z", "0.tmp"} {
		name = filepath.Join(root, incomingName, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{manifestsName + "/000007-12345678.json", blobsName + "/ab/" + strings.Repeat("ab", 32)} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = newStore(t, root)
	m := files.manifest()
	if all, err := announce(s, m); err != nil || len(all) != 1 || all[0].Hash != sha256.Sum256([]byte("torn!")) {
		t.Errorf("missing: %v, %v", all, err)
	}
	for path := range read(t, filepath.Join(root, ownName)) {
		if path != "incoming/"+Hash(sha256.Sum256([]byte("whole"))).String() && path != "incoming/"+Hash(sha256.Sum256(m.Text())).String()+announcedEnd {
			t.Errorf("%s is left", path)
		}
	}
	mustPublish(t, s, files)
	if got := live(t, root); !equal(got, files) {
		t.Errorf("got %v", got)
	}
}

func TestFlipAndKeep(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	flips := 0
	trouble := error(nil)
	s.Flipped = func(context.Context) error { flips++; return trouble }
	if err := os.MkdirAll(root+"/releases/by hand", 0o755); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for i := range 5 {
		ids = append(ids, mustPublish(t, s, site{"n": fmt.Sprint(i), "same": "same"}).ID)
	}
	if flips != 5 {
		t.Errorf("%d flips", flips)
	}
	if r, err := s.Flip(context.Background(), Previous, ""); err != nil || r.ID != ids[3] || live(t, root)["n"] != "3" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.Flip(context.Background(), ids[0], ""); err != nil || !r.Live || live(t, root)["n"] != "0" {
		t.Errorf("%+v, %v", r, err)
	}
	for _, id := range []string{"", "..", "nobody", "../releases/" + ids[1]} {
		if _, err := s.Flip(context.Background(), id, ""); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", id, err)
		}
	}
	// The live one is kept, however old.
	if err := s.Keep(3); err != nil {
		t.Fatal(err)
	}
	has := func(want ...string) {
		t.Helper()
		all, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, r := range all {
			got = append(got, r.ID)
		}
		if want = append([]string{"by hand"}, want...); !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
	}
	has(ids[0], ids[3], ids[4])
	if n := len(read(t, root+"/"+blobsName)); n != 4 {
		t.Errorf("%d blobs, want those of 0, 3, 4 and same", n)
	}
	next := mustPublish(t, s, site{"n": "5", "same": "same"}).ID
	if next[:6] != "000006" {
		t.Errorf("%s comes behind %s", next, ids[4])
	}
	has(ids[3], ids[4], next)
	if n, err := s.Kept(); n != 3 || err != nil {
		t.Errorf("%d are kept, %v", n, err)
	}
	// While the accelerator reads an old one, none is removed.
	trouble = errors.New("not there")
	if r := mustPublish(t, s, site{"n": "6"}); r.Trouble != "not there" {
		t.Errorf("%+v", r)
	} else {
		has(ids[3], ids[4], next, r.ID)
	}
	for _, n := range []int{-1, 0, 1001} {
		if err := s.Keep(n); !errors.Is(err, ErrRefused) {
			t.Errorf("keep %d: %v", n, err)
		}
	}
	if r, err := s.Flip(context.Background(), "by hand", ""); err != nil || r.ID != "by hand" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.Flip(context.Background(), Previous, ""); !errors.Is(err, ErrNone) {
		t.Errorf("before the first: %v", err)
	}
}

// Several writers: nothing mixes, and the last flip is live.
func TestWriters(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	if err := s.Keep(1000); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := range 10 {
				files := site{"shared": "shared"}
				for i := range 5 {
					files[fmt.Sprint(i)] = fmt.Sprintf("writer %d, %d", w, n)
				}
				if _, err := publish(s, files); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	releases, err := s.List()
	if err != nil || len(releases) != 40 {
		t.Errorf("%d releases, %v", len(releases), err)
	}
	for _, r := range releases {
		files := read(t, root+"/releases/"+r.ID)
		if len(files) != 6 || files["0"] != files["4"] || files["shared"] != "shared" {
			t.Errorf("%s is mixed: %v", r.ID, files)
		}
	}
	if last := releases[len(releases)-1]; !last.Live {
		t.Errorf("%s came last, and is not live", last.ID)
	}
}

// A file of the accelerator's that is open, or whose name is a link, does not matter; what leads out of the disk does.
func TestHostileDisk(t *testing.T) {
	outside := t.TempDir()
	for name, prepare := range map[string]func(root string) error{
		"own directory is a link":      func(root string) error { return os.Symlink(outside, root+"/.ramjet") },
		"releases are a link":          func(root string) error { return os.Symlink(outside, root+"/releases") },
		"current is a directory":       func(root string) error { return os.Mkdir(root+"/current", 0o755) },
		"directory of blobs is a link": func(root string) error { return linkBlobs(root, outside) },
	} {
		root := t.TempDir()
		if err := prepare(root); err != nil {
			t.Fatal(err)
		}
		if r, err := publish(newStore(t, root), site{"a": "x"}); err == nil {
			t.Errorf("%s: published %+v", name, r)
		}
		if left, _ := os.ReadDir(outside); len(left) > 0 {
			t.Errorf("%s: %v was written outside", name, left)
		}
	}
}

func linkBlobs(root, outside string) error {
	if err := os.MkdirAll(root+"/"+blobsName, 0o700); err != nil {
		return err
	}
	for i := range 256 {
		if err := os.Symlink(outside, fmt.Sprintf("%s/%s/%02x", root, blobsName, i)); err != nil {
			return err
		}
	}
	return nil
}

// A content has at most 65,000 names on ext4; more of them get a copy.
func TestManyNames(t *testing.T) {
	if testing.Short() {
		t.Skip("70,000 files")
	}
	root := t.TempDir()
	files := site{}
	for i := range 70_000 {
		files[fmt.Sprintf("%d/%d", i%100, i)] = "the same"
	}
	s := newStore(t, root)
	r := mustPublish(t, s, files)
	if broken, err := s.Verify(context.Background(), r.ID); err != nil || len(broken) > 0 {
		t.Errorf("%d broken, %v", len(broken), err)
	}
	mustPublish(t, s, site{"x": "the same"})
}

// tmpfs mounts a file system of the size, where that is allowed.
func tmpfs(t *testing.T, size string) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := unix.Mount("none", root, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	return root
}

// What does not fit is refused before anything is sent, with what is missing; and when the disk fills meanwhile.
func TestFullDisk(t *testing.T) {
	root := tmpfs(t, "8m")
	s := newStore(t, root)
	small := site{"a": "fits"}
	r := mustPublish(t, s, small)
	files := site{"big": strings.Repeat("x", 20_000_000)}
	m := files.manifest()
	var full *FullError
	if _, err := announce(s, m); !errors.As(err, &full) || full.Need-full.Free < 12_000_000 || !strings.Contains(err.Error(), " MB are missing") {
		t.Errorf("%v", err)
	}
	if err := receive(s, m[0].Hash, m[0].Size, 0, strings.NewReader(files["big"])); !errors.As(err, &full) {
		t.Errorf("%v", err)
	}
	// Somebody else fills the disk while it arrives.
	files = site{"big": strings.Repeat("y", 5_000_000)}
	m = files.manifest()
	filler := &fill{r: strings.NewReader(files["big"]), after: 2_500_000, name: root + "/other"}
	if err := receive(s, m[0].Hash, m[0].Size, 0, filler); !errors.As(err, &full) {
		t.Errorf("%v", err)
	}
	if got := live(t, root); !equal(got, small) {
		t.Errorf("live: %v", got)
	}
	if left := read(t, root+"/"+incomingName); len(left) > 0 {
		t.Errorf("left: %d files", len(left))
	}
	if _, err := s.Flip(context.Background(), r.ID, ""); err != nil {
		t.Errorf("no flip on a full disk: %v", err)
	}
}

// fill fills the disk once it has read so much.
type fill struct {
	r     io.Reader
	after int
	name  string
}

func (f *fill) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.after -= n; f.after < 0 && f.name != "" {
		_ = os.WriteFile(f.name, make([]byte, 8<<20), 0o600)
		f.name = ""
	}
	return n, err
}

func TestPlace(t *testing.T) {
	for name, st := range map[string]unix.Statfs_t{
		"mkfs.ext4": {Type: unix.MSDOS_SUPER_MAGIC}, "fsck.ext4": {Type: unix.EXT4_SUPER_MAGIC, Flags: unix.ST_RDONLY},
	} {
		if err := checkPlace(&st); !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v", err)
		}
	}
	s := newStore(t, t.TempDir()+"/site")
	if err := os.Symlink("/nowhere/at/all", s.Root); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(); !errors.Is(err, ErrPlace) || !strings.Contains(err.Error(), "Plug it in") {
		t.Errorf("%v", err)
	}
	root := tmpfs(t, "1m")
	if err := unix.Mount("none", root, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s = newStore(t, root)
	if err := s.Open(); !errors.Is(err, ErrPlace) {
		t.Errorf("%v", err)
	}
	if all, err := s.List(); err != nil || len(all) != 0 {
		t.Errorf("a list needs no writing: %v, %v", all, err)
	}
}

// What waits for its release longer than a day is removed.
func TestPatience(t *testing.T) {
	root := t.TempDir()
	s := newStore(t, root)
	if _, err := send(s, site{"a": "never committed"}); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, s, site{"b": "1"})
	if n := len(read(t, root+"/"+incomingName)); n != 2 { // Its manifest as well.
		t.Errorf("%d wait", n)
	}
	s.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	mustPublish(t, s, site{"b": "2"})
	if n := len(read(t, root+"/"+incomingName)); n != 0 {
		t.Errorf("%d wait", n)
	}
}
