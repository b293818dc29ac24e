package partition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// This file is the edge to the kernel: all system calls that the standard library does not wrap.

// host is the machine as the watcher sees it: directories of the kernel, and the calls that change something. Tests put
// other directories and calls in place of the real ones.
type host struct {
	block     string // "/sys/class/block"
	dev       string // "/dev"
	mountinfo string // "/proc/self/mountinfo"
	mount     func(source, dir string, t Type, flags uintptr, data string) error
	unmount   func(dir string) error
	uevents   func() (*uevents, error)
}

func realHost() host {
	return host{
		block: "/sys/class/block", dev: "/dev", mountinfo: "/proc/self/mountinfo",
		mount: mount, unmount: unmount, uevents: openUevents,
	}
}

// mount is mount(2), of a device that nobody else holds: EBUSY if somebody does. Without that, the kernel would give us the
// file system that it still has for files which were open before, whatever the device holds by now.
func mount(source, dir string, t Type, flags uintptr, data string) error {
	f, err := os.OpenFile(source, os.O_RDONLY|os.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("mount %s: %w", source, err)
	}
	if err == nil {
		f.Close()
	}
	for {
		err := unix.Mount(source, dir, string(t), flags, data)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("mount %s on %s as %s (%q): %w", source, dir, t, data, err)
		}
		return nil
	}
}

// unmount takes the mount out of the tree at once (umount2(2) with MNT_DETACH). Files that are still open go on as long as
// the device answers. Nothing mounted there is no error.
func unmount(dir string) error {
	err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("umount2 %s: %w", dir, err)
	}
	return nil
}

// uevents is a socket on which the kernel tells of devices that come, go and change (netlink(7), NETLINK_KOBJECT_UEVENT).
type uevents struct {
	file *os.File // non-blocking, so that Close ends a Read
}

const ueventKernelGroup = 1 // the multicast group of the kernel's own messages

func openUevents() (*uevents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("socket NETLINK_KOBJECT_UEVENT: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: ueventKernelGroup}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("bind NETLINK_KOBJECT_UEVENT: %w", err)
	}
	return &uevents{os.NewFile(uintptr(fd), "uevents")}, nil
}

// wait returns when something happened to a block device, or may have: ENOBUFS says that messages were lost. The message
// itself is not used, and anybody on the box may send one; it only wakes the watcher, which then looks for itself.
func (u *uevents) wait() error {
	var buf [8192]byte // four times what the kernel puts into a message
	for {
		n, err := u.file.Read(buf[:])
		switch {
		case errors.Is(err, unix.ENOBUFS):
			return nil
		case err == io.EOF: // an empty message
			continue
		case err != nil:
			return fmt.Errorf("read uevents: %w", err)
		case bytes.Contains(buf[:n], []byte("\x00SUBSYSTEM=block\x00")):
			return nil
		}
	}
}

func (u *uevents) close() error { return u.file.Close() }
