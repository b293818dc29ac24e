package partition

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// sticks makes one image of each kind, with the label.
func sticks(t *testing.T) (ext4, fat, exfat, blank string) {
	t.Helper()
	ext4 = makeImage(t, 1<<20, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", "RAMJET")
	fat = makeImage(t, 1440<<10, "mkfs.vfat", "-F", "12", "-n", "RAMJET")
	exfat, blank = filepath.Join(t.TempDir(), "exfat"), filepath.Join(t.TempDir(), "blank")
	if err := os.WriteFile(exfat, exfatImage("RAMJET"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blank, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return ext4, fat, exfat, blank
}

func TestNoPartition(t *testing.T) {
	_, _, exfat, blank := sticks(t)
	m := newMachine(t)
	m.plug("sda", blank)
	m.watch.look(true)
	m.expect(m.watch.Fallback, true)
	m.logged()
	if info, err := os.Stat(m.watch.Fallback); err != nil || info.Mode() != os.ModeDir|0o755 {
		t.Errorf("fallback directory: %v, %v", info, err)
	}

	m.plug("sdb", exfat)
	m.watch.look(true)
	m.watch.look(true)
	m.expect(m.watch.Fallback, false)
	m.logged("exFAT is not supported")
}

func TestPullAndPlug(t *testing.T) {
	ext4, fat, _, blank := sticks(t)
	m := newMachine(t)
	m.watch.look(true)
	m.expect(m.watch.Fallback, true)

	m.plug("sda", ext4) // late, as USB sticks are
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")
	m.watch.look(false)
	m.expect(m.media("sda"), false, "sda")
	m.logged()

	m.pull("sda")
	m.watch.look(true)
	m.watch.look(false)
	m.expect(m.media(pulledName), false)
	m.logged("the content partition is gone")
	if _, err := os.Stat(filepath.Join(m.dir, "run", "site")); !os.IsNotExist(err) {
		t.Errorf("the link does not dangle: %v", err)
	}

	m.plug("sda", blank) // another stick takes the name
	m.plug("sdb", ext4)  // and ours comes back under another
	m.watch.look(false)  // the event was lost
	m.expect(m.media("sdb"), true, "sdb")
	m.logged()

	m.pull("sdb") // pulled and plugged in again between two looks, another stick, the same name
	m.plug("sdb", fat)
	m.watch.look(false)
	m.expect(m.media("sdb"), true, "sdb")
	m.logged("the content partition is gone")
	if got := strings.Join(m.mounts, ""); !strings.Contains(got, "vfat") || strings.Contains(got, "ext4") {
		t.Errorf("mounted: %s", got)
	}
}

func TestTwoPartitions(t *testing.T) {
	ext4, fat, _, _ := sticks(t)
	m := newMachine(t)
	m.plug("sdb", fat)
	m.plug("sda", ext4)
	m.watch.look(true)
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")
	m.logged("two partitions carry the label")

	m.pull("sda")
	m.watch.look(true)
	m.expect(m.media("sdb"), true, "sdb")
	m.logged("the content partition is gone")

	m.plug("sda", ext4)
	m.watch.look(true)
	m.expect(m.media("sdb"), false, "sdb") // the one in use stays
	m.logged("two partitions carry the label")
}

func TestMountFails(t *testing.T) {
	ext4, fat, _, _ := sticks(t)
	m := newMachine(t)
	m.refuse["sda"] = unix.EINVAL
	m.plug("sda", ext4)
	m.watch.look(true)
	m.watch.look(false)
	m.expect(m.watch.Fallback, true)
	m.logged("cannot mount the content partition")

	m.plug("sdb", fat)
	m.refuse["sdb"] = unix.EIO
	m.watch.look(false) // sda is not tried again without a change
	m.expect(m.watch.Fallback, false)
	m.logged("cannot mount the content partition", "try another port")

	delete(m.refuse, "sdb")
	m.watch.look(true)
	m.expect(m.media("sdb"), true, "sdb")
	m.logged("cannot mount the content partition", "level=WARN")

	delete(m.refuse, "sda")
	m.pull("sdb")
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")
}

func TestRestart(t *testing.T) {
	ext4, fat, _, _ := sticks(t)
	m := newMachine(t)
	m.plug("sda", ext4)
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")

	m.start()
	m.plug("sdb", fat)
	m.watch.look(true)
	m.expect(m.media("sda"), false, "sda") // adopted, and nothing flipped
	m.logged("two partitions carry the label")

	// The program died between mount and link, and left a directory.
	m.pull("sdb")
	if err := os.Remove(filepath.Join(m.dir, "run", "site")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.media("sdq"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.start()
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")
	m.logged()

	// Pulled while the program was down. It must not fall back.
	m.pull("sda")
	m.start()
	m.watch.look(true)
	m.expect(m.media(pulledName), false)
	m.start()
	m.watch.look(true)
	m.expect(m.media(pulledName), false)
	m.logged("the content partition is gone")

	// Unmounted by somebody behind our back.
	m.plug("sda", ext4)
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")
	m.mounts = nil
	m.writeMounts()
	m.watch.look(false)
	m.expect(m.media("sda"), true, "sda")
}

func TestTurnsReadOnly(t *testing.T) {
	ext4, _, _, _ := sticks(t)
	m := newMachine(t)
	m.plug("sda", ext4)
	m.watch.look(true)
	m.watch.look(false)
	m.logged()
	m.mounts[0] = strings.Replace(m.mounts[0], "sda rw,", "sda ro,", 1)
	m.writeMounts()
	m.watch.look(false)
	m.watch.look(false)
	m.expect(m.media("sda"), true, "sda")
	m.logged("level=ERROR")
}

func TestCannotSee(t *testing.T) {
	ext4, _, _, _ := sticks(t)
	m := newMachine(t)
	block := m.watch.host.block
	m.watch.host.block = filepath.Join(m.dir, "missing")
	m.watch.look(true)
	m.expect(m.watch.Fallback, true)
	m.logged("level=ERROR")

	m.watch.host.block = block
	m.plug("sda", ext4)
	m.watch.look(true)
	m.expect(m.media("sda"), true, "sda")

	m.watch.host.block = filepath.Join(m.dir, "missing")
	m.watch.look(true)
	m.expect(m.media("sda"), false, "sda") // what it cannot see it does not take away
	m.logged("level=ERROR")
}
