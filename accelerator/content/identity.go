package content

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// identity tells one state of one file from all others, as far as stat(2) can.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
}

func identityOf(info fs.FileInfo) identity { return stateOf(info).id }

// state is what a walk wants to know of a directory's entry.
type state struct {
	mode uint32 // st_mode
	id   identity
}

// regular and directory tell what it is.
func (s state) regular() bool   { return s.mode&unix.S_IFMT == unix.S_IFREG }
func (s state) directory() bool { return s.mode&unix.S_IFMT == unix.S_IFDIR }

// bits are the low twelve of st_mode.
func (s state) bits() uint32 { return s.mode & 0o7777 }

func stateOf(info fs.FileInfo) state {
	st := info.Sys().(*syscall.Stat_t) // Linux only: always this type.
	return state{st.Mode, identity{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}}
}

// lstat looks at an entry of a directory, without following a link. A walk does it for each file: package os would take
// twice as long for it.
func lstat(dir *os.File, entry string) (state, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), entry, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return state{}, err
	}
	return state{st.Mode, identity{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}}, nil
}

// sameBytes tells whether other has the same contents: unlike ctime, mtime does
// not change when a file in use is renamed or unlinked.
func (id identity) sameBytes(other identity) bool {
	return id.dev == other.dev && id.ino == other.ino && id.size == other.size && id.mtime == other.mtime
}

// changedWithin tells whether the file changed less than d before now. A clock
// that jumped back makes every file look as if it changed in the future; those
// are not waited for.
func (id identity) changedWithin(d time.Duration, now time.Time) bool {
	age := now.UnixNano() - max(id.ctime, id.mtime)
	return 0 <= age && age < int64(d)
}

// etag names this state where hashing the body would mean reading all of it.
func (id identity) etag() string { return fmt.Sprintf(`"%x-%x"`, id.mtime, id.size) }
