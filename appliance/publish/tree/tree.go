// Package tree reads the folder of a site as the accelerator would: which files it has, under which names, and their hashes.
package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ramjet/appliance/release"
)

// Options are what is read, and how.
type Options struct {
	// Dotfiles are the names that begin with a dot and are content after all.
	Dotfiles []string
	// AnyMode takes files whatever their mode is.
	AnyMode bool
	// Cache is the file that remembers the hashes of files that have not changed. Empty: none.
	Cache string
	// Fresh hashes all files, whatever the cache says.
	Fresh bool
	// Reads is called before files are hashed, Read after each.
	Reads func(files int, bytes int64)
	Read  func(bytes int64)
}

// File is one that can be published.
type File struct {
	Path string // relative, with slashes
	Hash release.Hash
	id   identity
}

// Size is in bytes.
func (f *File) Size() int64 { return f.id.size }

// Left is a file or a folder that is left out.
type Left struct {
	Path string // with a slash at the end if it is a folder
	Why  string
}

// Tree is what was read. It is open until Close.
type Tree struct {
	Files []File // in the order of their paths
	Left  []Left
	root  *os.Root
}

// Close closes the folder.
func (t *Tree) Close() error { return t.root.Close() }

// ErrChanged is a file that is not what it was when it was read.
var ErrChanged = errors.New("it changed while it was being published")

// identity tells one state of a file from all others, as far as stat(2) can.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
}

func identityOf(info fs.FileInfo) identity { return stateOf(info).id }

// state is what stat(2) says of a file or a folder.
type state struct {
	mode uint32 // st_mode
	id   identity
}

func (s state) is(kind uint32) bool { return s.mode&unix.S_IFMT == kind }

func stateOf(info fs.FileInfo) state {
	st := info.Sys().(*syscall.Stat_t) // Linux only: always this type.
	return state{st.Mode, identity{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}}
}

// lstat looks at a name in a folder without following a link: os.Root would walk there from the top for each file.
func lstat(dir *os.File, name string) (state, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return state{}, &os.PathError{Op: "fstatat", Path: name, Err: err}
	}
	return state{st.Mode, identity{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}}, nil
}

// Read walks the folder and hashes its files.
func Read(ctx context.Context, dir string, o Options) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &Tree{root: root}
	w := &walker{Options: o, tree: t}
	err = w.folder(ctx, "", nil)
	if err == nil {
		slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		err = t.hash(ctx, o)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return t, nil
}

// Open opens a file, if it is what it was.
func (t *Tree) Open(f *File) (*os.File, error) {
	file, err := t.root.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrChanged, err)
	}
	if info, err := file.Stat(); err != nil || identityOf(info) != f.id {
		file.Close()
		return nil, fmt.Errorf("%s: %w", f.Path, ErrChanged)
	}
	return file, nil
}

// walker finds the files. A link may lead anywhere in the folder, and not out of it, as for the accelerator.
type walker struct {
	Options
	tree    *Tree
	folders int
}

// node names a directory, to notice a link that leads back up.
type node struct{ dev, ino uint64 }

func (w *walker) leave(path, why string) { w.tree.Left = append(w.tree.Left, Left{path, why}) }

// folder reads one, whose path is empty or has a slash at its end.
func (w *walker) folder(ctx context.Context, at string, above []node) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.folders++; w.folders > release.MaxFiles {
		return fmt.Errorf("more than %d folders", release.MaxFiles)
	}
	dir, err := w.tree.root.Open(path.Clean(at))
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	self := node{identityOf(info).dev, identityOf(info).ino}
	if slices.Contains(above, self) {
		w.leave(at, "links that lead back to a folder above them")
		return nil
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	above = append(slices.Clip(above), self)
	for _, name := range names {
		if err := w.entry(ctx, dir, at+name, above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(ctx context.Context, dir *os.File, name string, above []node) error {
	is, err := lstat(dir, path.Base(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Gone since the folder was read.
	} else if err != nil {
		return err
	}
	if is.is(unix.S_IFLNK) {
		info, err := w.tree.root.Stat(name)
		if err != nil {
			w.leave(name, "links that lead nowhere, or out of the folder")
			return nil
		}
		is = stateOf(info)
	}
	if is.is(unix.S_IFDIR) {
		name += "/"
	}
	if base := path.Base(name); base[0] == '.' && !slices.Contains(w.Dotfiles, base) {
		w.leave(name, "names that begin with a dot, which are not served")
		return nil
	}
	if err := release.CheckPath(strings.TrimSuffix(name, "/")); err != nil {
		_, why, _ := strings.Cut(err.Error(), "cannot be published: ")
		w.leave(name, why)
		return nil
	}
	switch {
	case is.is(unix.S_IFDIR):
		return w.folder(ctx, name, above)
	case !is.is(unix.S_IFREG):
		w.leave(name, "neither files nor folders")
	case !w.AnyMode && !release.Served(is.mode&0o7777):
		w.leave(name, "programs, or not for everybody to read, which are not served (chmod 644; or -any-mode)")
	case len(w.tree.Files) >= release.MaxFiles:
		return fmt.Errorf("more than %d files", release.MaxFiles)
	default:
		w.tree.Files = append(w.tree.Files, File{Path: name, id: is.id})
	}
	return nil
}
