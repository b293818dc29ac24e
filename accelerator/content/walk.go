package content

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// found is one regular file of the tree, before it is read.
type found struct {
	path string // URL path, decoded: "/a/b.html"
	name string // name in its directory
	mode uint32
	id   identity
	link bool // reached through a symbolic link: to be opened from the top
	kept bool // of an earlier release

	was       *Object         // what the last snapshot had under this path, if that can be taken over, or nil
	old       *Representation // the identity representation of was
	same      *found          // another name of the same file, to be read instead, or nil
	memory    bool            // to be held in memory
	keep      bool            // to be kept open
	blob      *Representation // what was read, nil if it is not to be served
	unsettled bool            // it is being written: blob is old
}

// folder is one directory with the regular files in it.
type folder struct {
	path  string // URL path with its slash: "/", "/a/"
	top   *confined
	name  string // below the top: ".", "a"
	files []*found
}

// Bounds of a tree that is not a site but a mistake, or an attack with links.
const (
	maxDepth   = 64
	maxFolders = 1 << 20
)

// walker collects the folders of a tree, several at a time: on a cold disk the
// kernel can then sort the reads.
type walker struct {
	options *Options
	top     *confined
	visit   func(name string) // called before a folder is read, if set
	group   *errgroup.Group

	mu      sync.Mutex
	folders []*folder
	skipped []Skip
}

// walk returns the folders in the order of their paths.
func walk(ctx context.Context, top *confined, options *Options, visit func(string)) ([]*folder, []Skip, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4 * runtime.GOMAXPROCS(0))
	w := &walker{options: options, top: top, visit: visit, group: group}
	group.Go(func() error { return w.folder(ctx, "/", ".", nil) })
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(w.folders, func(a, b *folder) int { return strings.Compare(a.path, b.path) })
	return w.folders, w.skipped, nil
}

// node names a directory, to notice a link that leads back up.
type node struct{ dev, ino uint64 }

func (w *walker) folder(ctx context.Context, urlPath, name string, above []node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.visit != nil {
		w.visit(name)
	}
	dir, err := w.top.OpenDir(name)
	if err != nil {
		return w.unreadable(urlPath, name, err)
	}
	defer dir.Close()
	self, err := nodeOf(dir)
	if err != nil {
		return w.unreadable(urlPath, name, err)
	}
	if slices.Contains(above, self) {
		w.skip(urlPath, "a link that leads back to a directory above it")
		return nil
	}
	if len(above) >= maxDepth {
		w.skip(urlPath, fmt.Sprintf("deeper than %d directories", maxDepth))
		return nil
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return w.unreadable(urlPath, name, err)
	}
	f := &folder{path: urlPath, top: w.top, name: name}
	above = append(slices.Clone(above), self)
	for _, entry := range names {
		if w.hidden(urlPath, entry) {
			continue
		}
		is, link, err := w.stat(dir, entry, name)
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist) && !link:
			// Gone since the directory was read.
		case err != nil && failing(err):
			return err
		case err != nil:
			w.skip(urlPath+entry, reason(err))
		case is.directory():
			below := path.Join(name, entry)
			child := func() error { return w.folder(ctx, urlPath+entry+"/", below, above) }
			if !w.group.TryGo(child) {
				if err := child(); err != nil {
					return err
				}
			}
		case is.regular():
			f.files = append(f.files, &found{
				path: urlPath + entry, name: entry, link: link,
				mode: is.bits(), id: is.id,
			})
		default:
			w.skip(urlPath+entry, "neither a file nor a directory")
		}
	}
	return w.add(f)
}

// stat looks at a directory's entry without following links, then follows one
// from the top, so that it may lead anywhere below the root but not out of it.
func (w *walker) stat(dir *os.File, entry, name string) (is state, link bool, err error) {
	if is, err = lstat(dir, entry); err != nil || is.mode&unix.S_IFMT != unix.S_IFLNK {
		return is, false, err
	}
	info, err := w.top.Stat(path.Join(name, entry))
	if err != nil {
		return is, true, err
	}
	return stateOf(info), true, nil
}

// hidden tells whether a name is not content: a dotfile, or one of the names of
// the layout directly below the root.
func (w *walker) hidden(urlPath, name string) bool {
	if name[0] == '.' {
		return !slices.Contains(w.options.Dotfiles, name)
	}
	return urlPath == "/" && slices.Contains(w.options.Hidden, name)
}

// unreadable leaves out a directory that cannot be read. Without its top there
// is no site at all, and an I/O error means that the disk is failing or gone: the
// last good snapshot is better than half a new one.
func (w *walker) unreadable(urlPath, name string, err error) error {
	if name == "." || failing(err) {
		return err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		w.skip(urlPath, reason(err))
	}
	return nil
}

// failing tells an error of the disk, the file system or the process from one of
// a single file: it says nothing about the file, and the next may have it too.
func failing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EIO, syscall.ENODEV, syscall.ESHUTDOWN, syscall.ESTALE, // The disk is gone.
		syscall.EUCLEAN, syscall.EBADMSG, // What it says cannot be: ext4 and others, of their checksums.
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func (w *walker) add(f *folder) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.folders) >= maxFolders {
		return fmt.Errorf("more than %d directories below the root", maxFolders)
	}
	w.folders = append(w.folders, f)
	return nil
}

func (w *walker) skip(path, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.skipped) < maxSkips {
		w.skipped = append(w.skipped, Skip{path, why})
	}
}

// reason strips an error of the path that is printed beside it.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func nodeOf(dir *os.File) (node, error) {
	info, err := dir.Stat()
	if err != nil {
		return node{}, err
	}
	id := identityOf(info)
	return node{id.dev, id.ino}, nil
}
