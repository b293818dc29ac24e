package content

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// openFlags open a file that may have become something else since it was looked
// at: a FIFO must not block, a terminal must not become ours.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY

// errUnsettled is the error of a file that somebody is still writing.
var errUnsettled = errors.New("the file is being written")

// readFolder reads the files of one directory, each opened relative to it.
func (l *loader) readFolder(folder *folder) error {
	var dir *os.Root
	defer func() {
		if dir != nil {
			dir.Close()
		}
	}()
	for _, f := range folder.files {
		if f.same != nil || l.takeOver(f, folder) {
			continue
		}
		below := path.Join(folder.name, f.name)
		if l.sketch && !l.mayBeUnfinished(f.id) {
			f.blob = l.unread(f, folder.top, below)
			l.stamp(f.blob, f.id)
			continue
		}
		var err error
		if dir == nil && !f.link {
			dir, err = folder.top.OpenRoot(folder.name)
		}
		if err == nil {
			f.blob, err = l.read(f, folder.top, dir, below)
		}
		if err == nil {
			l.stamp(f.blob, f.id)
		} else if err := l.failed(f, err); err != nil {
			return err
		}
	}
	return nil
}

// takeOver keeps what the last snapshot had of a file that did not change.
func (l *loader) takeOver(f *found, folder *folder) bool {
	old := f.old
	if old == nil || !l.unchanged(old.identity, f.id) || (old.file == nil) != f.memory {
		return false
	}
	if !f.memory && (old.file.kept != nil) != f.keep {
		return false
	}
	if old.file == nil && old.unread == nil && old.ModTime.Equal(lastModified(time.Unix(0, f.id.mtime), l.now)) {
		f.blob = old // A snapshot does not change: what is the same can be shared.
		return true
	}
	blob := *old
	if blob.file != nil && blob.file.kept == nil { // Opened by its name: the old one may go with its release.
		blob.file = &openFile{root: folder.top, name: path.Join(folder.name, f.name)}
	}
	l.stamp(&blob, f.id)
	f.blob = &blob
	return true
}

// unchanged compares two states of a file. What releases have in common is one file with a
// link in each, and a link more or less changes its ctime; its contents are nobody's to change.
func (l *loader) unchanged(a, b identity) bool {
	if l.place.release != "" && l.old.place.release != "" {
		return a.sameBytes(b)
	}
	return a == b
}

// failed decides what becomes of a file that could not be read: one that is
// being written stays as it was, unless it belongs to a release, which is not
// to be mixed with what was there before; one that vanished is gone, one that may not be
// read is left out. Errors of the disk or of the process end the load.
func (l *loader) failed(f *found, err error) error {
	switch {
	case errors.Is(err, errUnsettled) && l.place.release != "":
		return fmt.Errorf("%s: %w", f.path, err)
	case errors.Is(err, errUnsettled):
		f.unsettled = true
		l.leaveAsItWas(f)
	case failing(err):
		return err
	case !errors.Is(err, fs.ErrNotExist):
		l.skip(Skip{f.path, reason(err)})
	}
	return nil
}

// leaveAsItWas keeps what the last snapshot had under the file's name, if that
// was the same tree.
func (l *loader) leaveAsItWas(f *found) {
	if l.place.dir == l.old.place.dir {
		f.blob = f.old
	}
}

// stamp fills in what depends on the file's times.
func (l *loader) stamp(r *Representation, id identity) {
	r.identity = id
	r.ModTime = lastModified(time.Unix(0, id.mtime), l.now)
	r.LastModified = ""
	if !r.ModTime.IsZero() {
		r.LastModified = r.ModTime.Format(HTTPTime)
	}
	if !r.hashed && r.unread == nil {
		r.ETag = id.etag()
	}
}

// HTTPTime is the layout of IMF-fixdate, RFC 9110 §5.6.7.
const HTTPTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// read opens a file, makes sure that it is the one that was looked at and that
// nobody is writing it, and reads it if it belongs in memory.
func (l *loader) read(f *found, top *confined, dir *os.Root, below string) (*Representation, error) {
	var file *os.File
	var err error
	if f.link {
		file, err = top.OpenFile(below)
	} else {
		file, err = dir.OpenFile(f.name, openFlags, 0)
	}
	if err != nil {
		return nil, err
	}
	keep := false
	defer func() {
		if !keep {
			file.Close()
		}
	}()
	if l.place.release == "" && l.unfinished(f.id, file) {
		return nil, errUnsettled
	}
	r := &Representation{Size: f.id.size}
	switch {
	case f.memory:
		if r.body, err = readWhole(file, f.id.size); err != nil {
			return nil, err
		}
		r.ETag, r.hashed = hashETag(r.body), true
	case f.keep:
		r.file, keep = &openFile{kept: file, fd: int(file.Fd())}, true
	default:
		r.file = &openFile{root: top, name: below}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if identityOf(info) != f.id {
		keep = false
		return nil, errUnsettled
	}
	return r, nil
}

// unfinished tells whether a file is likely to change again at once. A release is
// finished by definition: its link was turned to it.
func (l *loader) unfinished(id identity, file *os.File) bool {
	return id.changedWithin(l.options.Settle/2, l.now) || id.changedWithin(writingWindow, l.now) && beingWritten(file)
}

// mayBeUnfinished tells whether a file must be opened to know.
func (l *loader) mayBeUnfinished(id identity) bool {
	return l.place.release == "" && id.changedWithin(max(l.options.Settle/2, writingWindow), l.now)
}

// writingWindow is how long after its last change a file that is still open for
// writing counts as unfinished. A log that is appended to for ever is served all
// the same, as soon as it pauses that long.
const writingWindow = 10 * time.Second

// beingWritten tells whether some process holds the file open for writing, where
// the kernel lets us know: fcntl(2), F_SETLEASE gives a read lease only on files
// that nobody has. We drop it at once. Not allowed, not supported: no.
func beingWritten(f *os.File) bool {
	fd := f.Fd()
	if _, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		return errors.Is(err, unix.EAGAIN)
	}
	// The descriptor is closed or its lease dropped before anybody notices.
	_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
	return false
}

func readWhole(f *os.File, size int64) ([]byte, error) {
	body := make([]byte, size)
	if _, err := io.ReadFull(f, body); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, errUnsettled
		}
		return nil, err
	}
	return body, nil
}

// hashETag names a body by its contents, the same on every machine: its length
// and its xxHash. It guards against accidents, as a validator must; a site's
// owner has nobody to deceive.
func hashETag(body []byte) string {
	return fmt.Sprintf(`"%x-%016x"`, len(body), xxhash.Sum64(body))
}
