package release

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrPlace is a place that holds no releases, whatever is sent.
var ErrPlace = errors.New("nothing can be published here")

type wrongPlace struct{ text string }

func (w wrongPlace) Error() string      { return w.text }
func (wrongPlace) Is(target error) bool { return target == ErrPlace }

// FullError is a disk without room for a release.
type FullError struct {
	Need, Free             int64 // bytes
	NeedInodes, FreeInodes int64
}

// Error says how much is missing.
func (e *FullError) Error() string {
	if e.Need > e.Free {
		return fmt.Sprintf("%s are missing: the release takes %s more, and %s are free. Keep fewer releases, or take a larger disk",
			Bytes(e.Need-e.Free), Bytes(e.Need), Bytes(e.Free))
	}
	return fmt.Sprintf("%d inodes are missing: the release takes %d more, and %d are free. Keep fewer releases, or format the disk with more",
		e.NeedInodes-e.FreeInodes, e.NeedInodes, e.FreeInodes)
}

// Bytes writes a number of bytes for people.
func Bytes(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// checkPlace says what to do about a file system that cannot hold releases.
func checkPlace(st *unix.Statfs_t) error {
	switch {
	case st.Type == unix.MSDOS_SUPER_MAGIC || st.Type == unix.EXFAT_SUPER_MAGIC:
		return wrongPlace{"the content partition is FAT, which has no links and is read-only on the box. " +
			"Copy the files onto it with a computer; or format it (mkfs.ext4 -L RAMJET), plug it in again, and publish"}
	case st.Flags&unix.ST_RDONLY != 0:
		return wrongPlace{"the content partition is read-only: it is write-protected, or its file system had an error. " +
			"Open the slider of the card, or check it (fsck.ext4), plug it in again, and publish"}
	}
	return nil
}

// reserve is left free in any case, in bytes: for directories and the journal, and, where the site is on /perm, for what the
// box itself writes there. It is a sixteenth of the disk, at most 64 MiB.
func reserve(st *unix.Statfs_t) int64 {
	return max(1<<20, min(int64(st.Blocks)*st.Bsize/16, 64<<20))
}

// room is what a release takes of a disk.
type room struct{ bytes, inodes int64 }

// add counts a file or a directory of that size.
func (r *room) add(size, block int64) {
	r.bytes += (size + block - 1) / block * block
	r.inodes++
}

// fits compares with what is free. File systems that have as many inodes as there is room say 0 of them.
func (r *room) fits(st *unix.Statfs_t) error {
	e := &FullError{Need: r.bytes + reserve(st), Free: int64(st.Bavail) * st.Bsize, NeedInodes: r.inodes, FreeInodes: int64(st.Ffree)}
	if e.Need > e.Free || st.Files > 0 && e.NeedInodes > e.FreeInodes {
		return e
	}
	return nil
}
