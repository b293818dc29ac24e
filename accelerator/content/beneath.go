package content

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// confined is a directory below which files are opened by name, links followed, and
// nothing outside reached: an os.Root, which walks a name component by
// component, with a short cut of one system call for the whole of it.
type confined struct {
	*os.Root
	dir *os.File // the same directory
}

// openConfined opens a directory. Its descriptors are closed by their finalizers.
func openConfined(name string) (*confined, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &confined{root, dir}, nil
}

// OpenFile opens a file for reading.
func (t *confined) OpenFile(name string) (*os.File, error) {
	if f := t.beneath(name, openFlags); f != nil {
		return f, nil
	}
	return t.Root.OpenFile(name, openFlags, 0)
}

// OpenDir opens a directory for reading.
func (t *confined) OpenDir(name string) (*os.File, error) {
	if f := t.beneath(name, unix.O_RDONLY|unix.O_DIRECTORY); f != nil {
		return f, nil
	}
	return t.Root.OpenFile(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// Stat follows links.
func (t *confined) Stat(name string) (fs.FileInfo, error) {
	if f := t.beneath(name, unix.O_PATH); f != nil {
		defer f.Close()
		return f.Stat()
	}
	return t.Root.Stat(name)
}

// beneath opens a name by openat2(2), Linux 5.6, by the rules of os.Root. It
// returns nil for any error: os.Root has the last word, and better ones.
func (t *confined) beneath(name string, flags uint64) *os.File {
	raw, err := t.dir.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	_ = raw.Control(func(dir uintptr) { // fd tells
		if got, err := unix.Openat2(int(dir), name, &how); err == nil {
			fd = got
		}
	})
	if fd < 0 {
		return nil
	}
	return os.NewFile(uintptr(fd), name)
}
