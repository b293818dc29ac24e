package partition

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// loops hands out real block devices. It reports whether it can: that takes root and a kernel with loop devices. Without,
// the imitated machine of the other tests is what this package has, and the stories that boot the image mount for real.
func loops(t *testing.T) bool {
	t.Helper()
	f, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Logf("not tested with real block devices: %v", err)
		return false
	}
	f.Close()
	dir := t.TempDir()
	if err := mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Logf("not tested with real mounts: %v", err)
		return false
	}
	return unmount(dir) == nil
}

// attach makes a loop device of an image, and returns its name.
func attach(t *testing.T, image string) string {
	t.Helper()
	dev := command(t, "losetup", "-f", "--show", image)
	t.Cleanup(func() {
		if command(t, "losetup", "-n", "-O", "NAME", "-j", image) != "" {
			command(t, "losetup", "-d", dev)
		}
	})
	return filepath.Base(dev)
}

// vanish takes the medium out of a loop device, as out of a card reader: its size becomes 0, whoever has it mounted.
func vanish(t *testing.T, name, image string) {
	t.Helper()
	if err := os.Truncate(image, 0); err != nil {
		t.Fatal(err)
	}
	command(t, "losetup", "-c", "/dev/"+name)
}

// waitForLink waits until the site link says the target, for at most 20 s.
func waitForLink(t *testing.T, site, target string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got, _ = os.Readlink(site); got == target {
			return
		}
	}
	t.Fatalf("site -> %q, want %q", got, target)
}

// TestRealDevices plugs and pulls loop devices under the watcher with the real kernel: its events, its mounts.
func TestRealDevices(t *testing.T) {
	if !loops(t) {
		return
	}
	const label = "RAMJET-TEST"
	content := t.TempDir()
	if err := os.WriteFile(filepath.Join(content, "index.html"), []byte("a stick"), 0o644); err != nil {
		t.Fatal(err)
	}
	stick := func() string { return makeImage(t, 8<<20, "mkfs.ext4", "-q", "-L", label, "-d", content) }
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := new(safeBuffer)
	site, media := filepath.Join(dir, "site"), filepath.Join(dir, "media")
	t.Cleanup(func() {
		entries, _ := os.ReadDir(media)
		for _, e := range entries {
			unmount(filepath.Join(media, e.Name()))
		}
	})
	start := func() (stop func()) {
		w := &Watcher{
			Label: label, Dir: dir, Fallback: filepath.Join(dir, "www"), Rescan: time.Hour, // so that it takes the events
			Log: slog.New(slog.NewTextHandler(log, nil)),
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	stop := start()
	waitForLink(t, site, filepath.Join(dir, "www"))

	first := stick()
	a := attach(t, first)
	waitForLink(t, site, filepath.Join(media, a))
	if got, err := os.ReadFile(filepath.Join(site, "index.html")); string(got) != "a stick" {
		t.Fatalf("read %q, %v", got, err)
	}
	checkFlags(t, site)
	if err := mount("/dev/"+a, t.TempDir(), Ext4, 0, ""); !errors.Is(err, unix.EBUSY) {
		t.Errorf("mounted what is held: %v", err)
	}

	stop() // the mount stays, and the next run takes it over
	if _, err := os.Stat(filepath.Join(site, "index.html")); err != nil {
		t.Fatalf("the mount did not outlive the program: %v", err)
	}
	stop = start()
	second := stick()
	b := attach(t, second)
	log.waitFor(t, "two partitions carry the label")
	if n := strings.Count(log.String(), "content partition mounted"); n != 1 {
		t.Errorf("mounted %d times, want once\n%s", n, log)
	}

	held, err := os.Open(filepath.Join(site, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() // as the accelerator does
	vanish(t, a, first)
	waitForLink(t, site, filepath.Join(media, b))
	vanish(t, b, second)
	waitForLink(t, site, filepath.Join(media, pulledName))
	log.waitFor(t, filepath.Join("msg=unmounted dir="+media, b))

	c := attach(t, stick())
	waitForLink(t, site, filepath.Join(media, c))
	if _, err := os.Stat(filepath.Join(site, "index.html")); err != nil {
		t.Errorf("plugged in again: %v\n%s", err, log)
	}
	stop()
}

// checkFlags checks that nothing on the content partition can be run, and that it is writable.
func checkFlags(t *testing.T, dir string) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	const want = unix.ST_NOEXEC | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOATIME
	if st.Flags&want != want || st.Flags&unix.ST_RDONLY != 0 {
		t.Errorf("mount flags %#x", st.Flags)
	}
}
