package bootfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// withLine makes a boot file system with a command line.
func withLine(t *testing.T, line string) (f *os.File, limit int64, now func() string) {
	t.Helper()
	dir := t.TempDir()
	image, text := filepath.Join(dir, "fat"), filepath.Join(dir, "cmdline.txt")
	if err := os.WriteFile(text, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"mkfs.vfat", "-C", "-F", "16", "-f", "1", "-R", "4", "-s", "4", image, "20480"}, {"mcopy", "-i", image, text, "::cmdline.txt"},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", command, err, out)
		}
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, 20480 << 10, func() string {
		t.Helper()
		out, err := exec.Command("mtype", "-i", image, "::cmdline.txt").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
}

// What is to hold for one start is taken out again without a trace, and the root can be changed with it and without it.
func TestOnce(t *testing.T) {
	const before = "console=tty1 root=PARTUUID=12345678-02 init=/gokrazy/init ramjet.room=_____________________________________________ quiet\n"
	const words = "ramjet.trial=ABC ramjet.partition=3 init=/x"
	f, limit, now := withLine(t, before)
	for range 2 { // A second time as well: the power may have been cut in between.
		for _, words := range []string{"ramjet.trial=BEFORE init=/y", words} { // The latter takes the place of the former.
			if err := Once(f, limit, words); err != nil {
				t.Fatal(err)
			}
		}
		if got := now(); len(got) != len(before) || !strings.Contains(got, "init=/gokrazy/init "+words+" ramjet.room=_ quiet\n") {
			t.Fatalf("once: %q", got)
		}
		if err := NoMore(f, limit); err != nil {
			t.Fatal(err)
		}
		if got := now(); got != before {
			t.Fatalf("no more: %q", got)
		}
	}
	if err := NoMore(f, limit); err != nil || now() != before {
		t.Errorf("nothing is there to be taken out: %v, %q", err, now())
	}
	if err := Once(f, limit, words+"yz"); !errors.Is(err, ErrNoRoom) || now() != before {
		t.Errorf("too long: %v, %q", err, now())
	}
	if err := SetRoot(f, limit, "PARTUUID=12345678-03"); err != nil || now() != strings.Replace(before, "-02", "-03", 1) {
		t.Errorf("another root: %v, %q", err, now())
	}
	if err := SetRoot(f, limit, strings.Repeat("x", 100)); err == nil {
		t.Error("a root that has no room is written")
	}
	f, limit, _ = withLine(t, strings.Repeat("x", 480)+before)
	if err := Once(f, limit, words); !errors.Is(err, ErrNoRoom) {
		t.Errorf("in two sectors: %v", err)
	}
	f, limit, now = withLine(t, "root=PARTUUID=12345678-02 quiet\n")
	if err := Once(f, limit, words); !errors.Is(err, ErrNoRoom) || now() != "root=PARTUUID=12345678-02 quiet\n" {
		t.Errorf("no room: %v, %q", err, now())
	}
}
