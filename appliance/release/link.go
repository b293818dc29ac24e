package release

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// linker makes the directory of a release: one link for each file. The manifest is cut into parts of neighbours, which are
// linked at the same time.
type linker struct {
	h     *shelf
	top   *os.File
	above map[string]struct{} // directories that may be in two parts, made before all others; with a slash at the end
	mu    sync.Mutex          // held to renew a content
}

// leastLinks is how many files are worth a part of their own.
const leastLinks = 1000

// linkAll links all files into a directory of incoming. It returns the contents that are no blobs yet; they get the time of
// this release, all the same one. Where contents are has been found by then.
func (s *Store) linkAll(ctx context.Context, h *shelf, m Manifest, name string) (fresh []Hash, err error) {
	now := s.now().UnixNano()
	for e := range m.contents {
		switch h.found[e.Hash] {
		case nil:
			return nil, &MissingError{[]Missing{{Hash: e.Hash}}}
		case h.incoming:
			fresh = append(fresh, e.Hash)
			if err := setTime(h.incoming, e.Hash.String(), now); err != nil {
				return nil, err
			}
		}
	}
	l := &linker{h: h, above: map[string]struct{}{}}
	if l.top, err = makeDir(h.incoming, name); err != nil {
		return nil, err
	}
	defer l.top.Close()
	var parts []Manifest
	for of := max(1, min(runtime.GOMAXPROCS(0), len(m)/leastLinks)); of > 0; of-- {
		n := len(m) / of
		parts, m = append(parts, m[:n]), m[n:]
		if err := l.makeAbove(parts[len(parts)-1][0].Path); err != nil {
			return nil, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		group.Go(func() error { return l.link(ctx, part) })
	}
	return fresh, group.Wait()
}

// level is a directory that is being filled.
type level struct {
	path string // with a slash at the end; the top is ""
	dir  *os.File
}

// below opens a directory in another one; it is made, unless it is one of those that were made before.
func (l *linker) below(at level, component, path string) (level, error) {
	next := level{path: at.path + component + "/"}
	var err error
	if _, made := l.above[next.path]; made {
		next.dir, err = openDir(at.dir, component)
	} else {
		next.dir, err = makeDir(at.dir, component)
	}
	return next, sameName(err, path)
}

// enter goes from the directories in which the last file was, the top first, to those of a path. Those that it leaves are
// closed; what it returns is open, after an error as well.
func (l *linker) enter(at []level, path string) ([]level, error) {
	for !strings.HasPrefix(path, at[len(at)-1].path) {
		at = leave(at)
	}
	for {
		here := at[len(at)-1]
		component, _, below := strings.Cut(path[len(here.path):], "/")
		if !below {
			return at, nil
		}
		next, err := l.below(here, component, path)
		if err != nil {
			return at, err
		}
		at = append(at, next)
	}
}

func leave(at []level) []level {
	at[len(at)-1].dir.Close()
	return at[:len(at)-1]
}

// leaveAll leaves all but the top.
func leaveAll(at []level) {
	for len(at) > 1 {
		at = leave(at)
	}
}

// makeAbove makes the directories above a file.
func (l *linker) makeAbove(path string) error {
	at, err := l.enter([]level{{"", l.top}}, path)
	for _, made := range at[1:] {
		l.above[made.path] = struct{}{}
	}
	leaveAll(at)
	return err
}

// link links the files of a part.
func (l *linker) link(ctx context.Context, part Manifest) (err error) {
	at := []level{{"", l.top}}
	defer func() { leaveAll(at) }()
	for i, e := range part {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if at, err = l.enter(at, e.Path); err != nil {
			return err
		}
		here := at[len(at)-1]
		if err := l.content(e.Hash, here.dir, e.Path[len(here.path):]); err != nil {
			return sameName(err, e.Path)
		}
	}
	return nil
}

// sameName explains a name that the file system takes for another one: one that does not tell upper from lower case.
func sameName(err error, path string) error {
	if errors.Is(err, fs.ErrExist) {
		return refusedf("%q has the same name as another file or directory, on this file system", path)
	}
	return err
}

// content links a content. Where it has as many names as it can have, which are 65,000 on ext4, a copy of it takes its
// place from now on.
func (l *linker) content(hash Hash, to *os.File, name string) error {
	from := l.h.found[hash]
	err := link(from, hash.String(), to, name)
	if !errors.Is(err, unix.EMLINK) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err = link(from, hash.String(), to, name); !errors.Is(err, unix.EMLINK) { // Another part has renewed it.
		return err
	}
	if err := renew(l.h, from, hash); err != nil {
		return err
	}
	return link(from, hash.String(), to, name)
}

// renew puts a copy, which has no other names yet, in the place of a content.
func renew(h *shelf, from *os.File, hash Hash) error {
	st, err := stat(from, hash.String())
	if err != nil {
		return err
	}
	old, err := openFile(from, hash.String())
	if err != nil {
		return err
	}
	defer old.Close()
	temporary := hash.String() + ".copy.tmp"
	copied, err := h.root.OpenFile(incomingName+"/"+temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer copied.Close()
	if _, err := io.Copy(copied, old); err != nil {
		return err
	}
	if err := copied.Chmod(0o644); err != nil {
		return err
	}
	if err := setTime(h.incoming, temporary, st.Mtim.Nano()); err != nil {
		return err
	}
	if err := copied.Sync(); err != nil { // It may take the place of a blob, which is trusted.
		return err
	}
	return rename(h.incoming, temporary, from, hash.String())
}
