package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/bootfs"
	"ramjet/appliance/update/disk"
)

// Where the firmware starts the trial, with the kernel in use and the old root, there is more to do before the new root
// takes over.

// noMore takes the words that have led here out of the command line on the disk, before anything of the new version runs:
// whatever happens from now on, the next start is one of the old version.
func noMore() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil || !strings.Contains(string(line), " "+disk.Once) {
		return err
	}
	d, err := disk.Find(string(line), "/sys", "/dev")
	if err != nil {
		return err
	}
	f, limit, err := bootfs.Open(d.Boot, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	return bootfs.NoMore(f, limit)
}

// mountPoint is a directory for the new root. The old one cannot be written to.
func mountPoint() (string, error) {
	if err := os.MkdirAll("/root", 0o755); err == nil {
		return "/root", nil
	}
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""); err != nil {
		return "", fmt.Errorf("mounting /tmp: %w", err)
	}
	return "/tmp/root", os.Mkdir("/tmp/root", 0o755)
}

// Lend is the argument by which the guard gives a new root, whose kernel is to come, the modules of the one in use. Without
// it a root is tried as it will be started later.
const Lend = "ramjet.lend"

// lendModules does so.
func lendModules(root string) error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil || !slices.Contains(strings.Fields(string(line)), Lend) {
		return err
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return err
	}
	const dir = "/lib/modules"
	release := dir + "/" + unix.ByteSliceToString(name.Release[:])
	_, ours := os.Stat(release)
	_, its := os.Stat(root + release)
	if ours != nil || its == nil {
		return nil
	}
	err = unix.Mount(dir, root+dir, "", unix.MS_BIND, "")
	if errors.Is(err, unix.ENOENT) {
		return nil // It has none at all.
	}
	if err != nil {
		return fmt.Errorf("lending the modules: %w", err)
	}
	say("the new root has the modules of %s for now", filepath.Base(release))
	return nil
}
