package content

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what to load and how. The zero value of each field is usable.
type Options struct {
	Root     string   // absolute path of a directory; may be a symbolic link that changes; "" for an empty site
	Index    []string // names of index files, the first that exists counts
	Dotfiles []string // names beginning with a dot that are content after all
	Hidden   []string // names directly below the root that are not content

	Memory        int64 // bytes of bodies to hold in memory; smallest files first
	MemoryPerFile int64 // bytes; larger files are not held in memory
	OpenFiles     int   // descriptors to keep open for the rest

	Types        map[string]string // extension with dot -> media type, over the built-in table
	Charset      string            // added to text types that name none
	CacheControl []CacheControl    // first match counts

	Settle time.Duration // how long a tree must be quiet to be read
}

// CacheControl gives the objects whose paths match a Cache-Control value.
type CacheControl struct {
	Match Pattern
	Value string
}

// Store holds the live Snapshot of one directory. Its methods may be called from
// any goroutine.
type Store struct {
	Log *slog.Logger // never nil
	// Now is the clock, for tests of what happens before it is set; time.Now
	// if nil.
	Now func() time.Time
	// Loaded is called after each swap, if set.
	Loaded func(*Snapshot)

	live atomic.Pointer[Snapshot]

	mu      sync.Mutex // guards all below, held during a load
	options Options
	watcher *watcher // nil before Watch
	whole   bool     // the last load was under watch and left nothing to be done
	failed  string   // last error logged, to log it once
}

// NewStore returns a Store that serves nothing until it is loaded.
func NewStore(options Options, log *slog.Logger) *Store {
	s := &Store{options: options, Log: log}
	s.live.Store(&Snapshot{objects: map[string]*Object{}, Loaded: time.Now()})
	return s
}

// Snapshot returns the live snapshot, never nil.
func (s *Store) Snapshot() *Snapshot { return s.live.Load() }

// SetOptions changes what the next Load does.
func (s *Store) SetOptions(options Options) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = options
}

// firstTries bounds how often the first load waits for files that are still
// being written: a site that was copied a moment ago should be there whole.
const firstTries = 4

// Load reads the tree and swaps the snapshot. What did not change since the last
// one is taken over without reading it again. On an error the old snapshot
// stays: a tree that cannot be read as a whole is not served in part.
func (s *Store) Load(ctx context.Context) error {
	return s.begin(ctx, withBodies)
}

// Sketch is a first Load that reads no bodies: it goes live with what a walk of
// the tree shows, in a fraction of the time. A body that belongs in memory is
// read when it is first asked for, and Run begins by reading all the rest.
func (s *Store) Sketch(ctx context.Context) error {
	return s.begin(ctx, namesOnly)
}

func (s *Store) begin(ctx context.Context, d depth) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.Snapshot().Root == ""
	for range firstTries {
		if err := s.load(ctx, d, true); err != nil {
			return err
		}
		if !first || s.Snapshot().Unsettled == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.options.Settle):
		}
	}
	return nil
}

// depth is how much of a tree a load reads.
type depth bool

const (
	namesOnly  depth = false
	withBodies depth = true // as far as they belong in memory
)

// load needs mu. Unless it is forced, it leaves a release that is live already
// alone: a release changes by its link, never in place.
func (s *Store) load(ctx context.Context, d depth, force bool) error {
	s.whole = false
	if s.options.Root == "" {
		s.live.Store(&Snapshot{objects: map[string]*Object{}, Loaded: s.now(), clock: true})
		return nil
	}
	started := time.Now()
	if s.watcher != nil {
		s.watcher.begin(s.options.Root)
	}
	place, err := locate(s.options.Root)
	if err != nil {
		return err
	}
	if old := s.live.Load(); !force && place.release != "" && place.same(old) && old.clock && old.Unread == 0 {
		if s.watcher != nil {
			s.watcher.at(place)
		}
		return nil
	}
	l := &loader{
		options: &s.options,
		types:   newTypeTable(s.options.Types, s.options.Charset),
		old:     s.live.Load(),
		now:     s.now(),
		place:   place,
		sketch:  d == namesOnly,
	}
	if s.watcher != nil {
		l.visit = s.watcher.at(place)
	}
	snapshot, err := l.run(ctx)
	if err != nil {
		return err
	}
	snapshot.Took = time.Since(started)
	s.live.Store(snapshot)
	s.whole = d == withBodies && s.watcher != nil && s.watcher.partial == nil && snapshot.Unsettled == 0
	if s.Loaded != nil {
		s.Loaded(snapshot)
	}
	return nil
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// place is where the site is: the root itself, or the release that `current`
// names.
type place struct {
	root    string // the directory given, links resolved
	dir     string // what to read
	release string // base name of dir if it is a release, else ""
	node    node   // dir's inode
	mount   uint64 // the mount that dir is on: another stick under the same name is another tree
}

// same tells whether the snapshot was read from there.
func (p place) same(s *Snapshot) bool { return s.place == p }

// currentLink is the name of the link to the live release. A directory of this
// name is content like any other.
const currentLink = "current"

// locate resolves the root. The link to the release must stay below it, so that
// a stick from a stranger cannot publish the machine it is plugged into.
func locate(root string) (place, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return place{}, err
	}
	r, err := os.OpenRoot(resolved)
	if err != nil {
		return place{}, err
	}
	defer r.Close()
	info, err := r.Lstat(currentLink)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		return place{root: resolved, dir: resolved}.look()
	}
	if _, err := r.Stat(currentLink); err != nil {
		return place{}, err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(resolved, currentLink))
	if err != nil {
		return place{}, err
	}
	return place{root: resolved, dir: dir, release: filepath.Base(dir)}.look()
}

// look fills in what tells this directory from another of its name.
func (p place) look() (place, error) {
	var st unix.Statx_t
	// A kernel before 6.8 does not know the unique id and answers without any.
	if err := unix.Statx(unix.AT_FDCWD, p.dir, 0, unix.STATX_INO|unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return place{}, &os.PathError{Op: "statx", Path: p.dir, Err: err}
	}
	p.node = node{unix.Mkdev(st.Dev_major, st.Dev_minor), st.Ino}
	p.mount = st.Mnt_id
	return p, nil
}
