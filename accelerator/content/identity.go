package content

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// identity tells one state of one file from all others, as far as stat(2) can.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
}

func identityOf(info fs.FileInfo) identity {
	st := info.Sys().(*syscall.Stat_t) // Linux only: always this type.
	return identity{
		dev: st.Dev, ino: st.Ino, size: st.Size,
		mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
	}
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
