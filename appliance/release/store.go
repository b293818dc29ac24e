package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The names of the layout.
const (
	currentName   = "current"
	releasesName  = "releases"
	ownName       = ".ramjet"
	blobsName     = ".ramjet/blobs"
	incomingName  = ".ramjet/incoming"
	manifestsName = ".ramjet/manifests"
	keepName      = ".ramjet/keep"
)

// Store is the releases of a site. Its methods may be called at any time; whoever flips last wins.
type Store struct {
	// Root is the directory of the site: it may be a link that leads to another disk tomorrow. Each call looks anew.
	Root string
	// Flipped, if set, is called after each flip, and returns when the accelerator serves what `current` names. An error
	// of it does not undo the flip.
	Flipped func(ctx context.Context) error
	// Log, nil means slog.Default().
	Log *slog.Logger
	// Now is the clock, nil means time.Now.
	Now func() time.Time

	turn    sync.Mutex // one change of releases at a time
	reading sync.Mutex // one manifest in memory at a time, beside that of a commit
	archive sync.Mutex // one archive at a time

	mu   sync.Mutex
	here place             // guarded by mu: where Root led the last time
	sure map[Hash]struct{} // guarded by mu: contents in incoming of here that this process has hashed
}

// place is a directory of a mount: another disk is another place.
type place struct {
	dev, ino, mount uint64
}

func (s *Store) log() *slog.Logger { return cmp.Or(s.Log, slog.Default()) }

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// shelf is the place of a store while a call lasts. It is not held open between calls: a disk that was pulled out could
// not be mounted again.
type shelf struct {
	root     *os.Root // nothing outside of it can be reached
	top      *os.File // the same directory
	blobs    *os.File
	incoming *os.File
	releases *os.File
	dirs     map[byte]*os.File // of blobs, by the first byte of their hashes; nil: there was none
	buffer   []byte            // for copying, when needed
	// found is where contents are, once that has been looked for; nil if it may change while the call lasts.
	found map[Hash]*os.File
	// waiting are the names in incoming, as they were; nil if nobody has looked.
	waiting map[string]struct{}
}

// lookAround reads the names in incoming, for who looks for many contents there: most are not.
func (h *shelf) lookAround() error {
	names, err := readDir(h, incomingName)
	if err != nil {
		return err
	}
	h.waiting = make(map[string]struct{}, len(names))
	for _, name := range names {
		h.waiting[name] = struct{}{}
	}
	return nil
}

// mayWait tells whether a name may be in incoming.
func (h *shelf) mayWait(name string) bool {
	_, is := h.waiting[name]
	return is || h.waiting == nil
}

func (h *shelf) close() {
	for _, f := range []*os.File{h.top, h.blobs, h.incoming, h.releases} {
		if f != nil {
			f.Close()
		}
	}
	for _, f := range h.dirs {
		if f != nil {
			f.Close()
		}
	}
	h.root.Close()
}

// look opens the place for reading.
func (s *Store) look() (*shelf, error) {
	dir, err := filepath.EvalSymlinks(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, wrongPlace{"there is no content partition now. Plug it in, and try again"}
	} else if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	h := &shelf{root: root, dirs: map[byte]*os.File{}}
	if h.top, err = root.Open("."); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// open opens the place for writing, makes the directories, and clears what a crash has left, once in each place.
func (s *Store) open() (*shelf, error) {
	h, err := s.look()
	if err != nil {
		return nil, err
	}
	if err := s.prepare(h); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (s *Store) prepare(h *shelf) error {
	st, err := h.space()
	if err != nil {
		return err
	}
	if err := checkPlace(&st); err != nil {
		return err
	}
	for name, mode := range map[string]fs.FileMode{ownName: 0o700, releasesName: 0o755} {
		if err := h.root.Mkdir(name, mode); err == nil {
			err = h.root.Chmod(name, mode)
			if err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, name := range []string{blobsName, incomingName, manifestsName} {
		if err := h.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for name, to := range map[string]**os.File{blobsName: &h.blobs, incomingName: &h.incoming, releasesName: &h.releases} {
		if *to, err = h.root.Open(name); err != nil {
			return err
		}
	}
	here, err := placeOf(h.top)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.here == here {
		return nil
	}
	if err := s.recover(h); err != nil {
		return fmt.Errorf("what a crash has left cannot be cleared: %w", err)
	}
	s.here, s.sure = here, map[Hash]struct{}{}
	return nil
}

// Open clears what a crash has left, if the place can be written now.
func (s *Store) Open() error {
	h, err := s.open()
	if err != nil {
		return err
	}
	h.close()
	return nil
}

func placeOf(dir *os.File) (place, error) {
	var st unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return place{}, &os.PathError{Op: "statx", Path: dir.Name(), Err: err}
	}
	return place{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino, st.Mnt_id}, nil
}

func (h *shelf) space() (st unix.Statfs_t, err error) {
	if err := unix.Fstatfs(int(h.top.Fd()), &st); err != nil {
		return st, &os.PathError{Op: "fstatfs", Path: h.top.Name(), Err: err}
	}
	return st, nil
}

// blobDir is the directory of the blobs whose hashes begin with a byte. It is made if create is true, else it may be nil.
func (h *shelf) blobDir(first byte, create bool) (*os.File, error) {
	if dir, known := h.dirs[first]; dir != nil || known && !create {
		return dir, nil
	}
	name := fmt.Sprintf("%02x", first)
	dir, err := openDir(h.blobs, name)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			h.dirs[first] = nil
			return nil, nil
		}
		dir, err = makeDir(h.blobs, name)
	}
	if err != nil {
		return nil, err
	}
	h.dirs[first] = dir
	return dir, nil
}

// where tells in which directory a content is: in that of its blobs, in incoming, or in none (nil).
func (s *Store) where(h *shelf, hash Hash, size int64) (*os.File, error) {
	if at := h.found[hash]; at != nil {
		return at, nil
	}
	at, err := s.lookFor(h, hash, size)
	if err == nil && at != nil && h.found != nil {
		h.found[hash] = at
	}
	return at, err
}

func (s *Store) lookFor(h *shelf, hash Hash, size int64) (*os.File, error) {
	dir, err := h.blobDir(hash[0], false)
	if err != nil {
		return nil, err
	}
	name := hash.String()
	if dir != nil {
		st, err := stat(dir, name)
		switch {
		case err == nil && isRegular(&st) && st.Size == size:
			return dir, nil
		case err == nil && isRegular(&st):
			return nil, refusedf("the content %s has %d bytes, not %d", hash, st.Size, size)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	if !h.mayWait(name) {
		return nil, nil
	}
	st, err := stat(h.incoming, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if !isRegular(&st) || st.Size != size {
		return nil, nil
	}
	right, err := s.assure(h, hash)
	if err != nil || !right {
		return nil, err
	}
	return h.incoming, nil
}

// assure tells whether the content in incoming is what its name says. What this process has not received it hashes: a power
// cut may have come between a name and its bytes. A wrong one is removed.
func (s *Store) assure(h *shelf, hash Hash) (bool, error) {
	s.mu.Lock()
	_, sure := s.sure[hash]
	s.mu.Unlock()
	if sure {
		return true, nil
	}
	got, err := hashFile(h, incomingName+"/"+hash.String())
	if err != nil {
		return false, err
	}
	if got != hash {
		return false, remove(h.incoming, hash.String())
	}
	s.trust(hash)
	return true, nil
}

func (s *Store) trust(hash Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sure[hash] = struct{}{}
}

// forget is for contents that have become blobs.
func (s *Store) forget(all []Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, hash := range all {
		delete(s.sure, hash)
	}
}
