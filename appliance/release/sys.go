package release

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// This file has the system calls that package os has not. Names are single components below a directory that is open, so
// no link can lead them elsewhere.

func openDir(at *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(at.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func openFile(at *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(at.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// create creates a file and opens it for writing.
func create(at *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(at.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// letRead lets everybody read a file, whatever the umask was when it was made.
func letRead(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&0o7777 == 0o644 {
		return nil
	}
	return f.Chmod(0o644)
}

// makeDir makes a directory that everybody may read, whatever the umask is.
func makeDir(at *os.File, name string) (*os.File, error) {
	if err := unix.Mkdirat(int(at.Fd()), name, 0o755); err != nil {
		return nil, &os.PathError{Op: "mkdirat", Path: name, Err: err}
	}
	dir, err := openDir(at, name)
	if err != nil {
		return nil, err
	}
	if err := dir.Chmod(0o755); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

func link(from *os.File, name string, to *os.File, as string) error {
	if err := unix.Linkat(int(from.Fd()), name, int(to.Fd()), as, 0); err != nil {
		return &os.LinkError{Op: "linkat", Old: name, New: as, Err: err}
	}
	return nil
}

func rename(from *os.File, name string, to *os.File, as string) error {
	if err := unix.Renameat(int(from.Fd()), name, int(to.Fd()), as); err != nil {
		return &os.LinkError{Op: "renameat", Old: name, New: as, Err: err}
	}
	return nil
}

func remove(at *os.File, name string) error {
	if err := unix.Unlinkat(int(at.Fd()), name, 0); err != nil {
		return &os.PathError{Op: "unlinkat", Path: name, Err: err}
	}
	return nil
}

// stat looks at a name without following a link.
func stat(at *os.File, name string) (st unix.Stat_t, err error) {
	if err := unix.Fstatat(int(at.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return st, &os.PathError{Op: "fstatat", Path: name, Err: err}
	}
	return st, nil
}

func isRegular(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFREG }

// setTime sets the time of the last change, in nanoseconds since 1970.
func setTime(at *os.File, name string, nanoseconds int64) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(nanoseconds)}
	if err := unix.UtimesNanoAt(int(at.Fd()), name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimensat", Path: name, Err: err}
	}
	return nil
}

// worthWriting is from which size on a file is written on its own, in bytes: a call for each small one takes more time than
// it saves.
const worthWriting = 64 << 10

// beginWriting has the kernel write to the disk what a file of some size holds, without waiting for it: so that a commit has
// less to wait for (sync_file_range(2)). It is a hint.
func beginWriting(f *os.File, size int64) {
	if size >= worthWriting {
		_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
}

// syncAll has everything on the file system written. Since Linux 5.8 it tells of bytes that could not be.
func syncAll(dir *os.File) error {
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	return nil
}
