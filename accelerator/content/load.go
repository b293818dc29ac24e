package content

import (
	"cmp"
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// loader makes one Snapshot: walk the tree, choose what goes into memory, read
// it, put the objects together.
type loader struct {
	options *Options
	types   typeTable
	old     *Snapshot
	now     time.Time
	place   place
	visit   func(name string)
	sketch  bool // read no bodies

	folders []*folder
	count   int // files in them

	mu      sync.Mutex
	skipped []Skip // guarded by mu
}

func (l *loader) run(ctx context.Context) (*Snapshot, error) {
	// Not closed here: files that are opened for a request need it. It is
	// closed by its finalizers when the last of them is gone.
	top, err := openConfined(l.place.dir)
	if err != nil {
		return nil, err
	}
	folders, skipped, err := walk(ctx, top, l.options, l.visit)
	if err != nil {
		return nil, err
	}
	l.skipped = skipped
	kept, err := l.kept(ctx, folders)
	if err != nil {
		return nil, err
	}
	l.folders = append(folders, kept...)
	for _, folder := range l.folders {
		l.count += len(folder.files)
	}
	l.plan()
	if err := l.readAll(ctx); err != nil {
		return nil, err
	}
	s := &Snapshot{
		Root: l.place.root, Release: l.place.release, place: l.place, Loaded: l.now,
		Skipped: l.skipped, clock: ClockPlausible(l.now),
	}
	l.assemble(s)
	return s, nil
}

func (l *loader) skip(s Skip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.skipped) < maxSkips {
		l.skipped = append(l.skipped, s)
	}
}

// plan chooses which files are held in memory and which are kept open. The
// smallest go first, so that as many as possible are in memory. A file of many
// names, by hard or symbolic links, is read once.
func (l *loader) plan() {
	var candidates []*found
	openFiles, size := 0, int64(0)
	names := make(map[node]*found, l.count)
	sameMount := l.place.mount == l.old.place.mount
	for f := range l.files() {
		if o := l.old.Lookup(f.path); o != nil && o.Location == "" && sameMount {
			f.was, f.old = o, o.Representations[0]
		}
		n := node{f.id.dev, f.id.ino}
		if first := names[n]; first == nil {
			names[n] = f
		} else if first.id == f.id { // Else it changed in between.
			f.same = first
			continue
		}
		if f.id.size <= l.options.MemoryPerFile {
			candidates = append(candidates, f)
			size += f.id.size
		}
	}
	if size > l.options.Memory { // Else all of them fit, and which goes first is of no interest.
		slices.SortStableFunc(candidates, func(a, b *found) int { return cmp.Compare(a.id.size, b.id.size) })
	}
	budget := l.options.Memory
	for _, f := range candidates {
		if f.id.size > budget {
			break
		}
		budget -= f.id.size
		f.memory = true
	}
	for f := range l.files() {
		if f.same == nil && !f.memory && openFiles < l.options.OpenFiles {
			f.keep = true
			openFiles++
		}
	}
}

// files yields all files in the order of their folders.
func (l *loader) files() iter.Seq[*found] {
	return func(yield func(*found) bool) {
		for _, folder := range l.folders {
			for _, f := range folder.files {
				if !yield(f) {
					return
				}
			}
		}
	}
}

// share gives the other names of a file what was read under the first.
func (l *loader) share() {
	for f := range l.files() {
		if f.same == nil {
			continue
		}
		f.unsettled = f.same.unsettled
		if f.unsettled {
			l.leaveAsItWas(f)
		} else {
			f.blob = f.same.blob
		}
	}
}

// readAll reads the planned files, several folders at a time.
func (l *loader) readAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4 * runtime.GOMAXPROCS(0))
	for _, folder := range l.folders {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return l.readFolder(folder)
		})
	}
	return group.Wait()
}

// assemble makes the objects from what was read.
func (l *loader) assemble(s *Snapshot) {
	l.share()
	siblings := l.siblings()
	s.objects = make(map[string]*Object, l.count+2*len(l.folders))
	for f := range l.files() {
		s.Files++
		if f.unsettled {
			s.Unsettled++
		}
		if f.blob == nil {
			continue
		}
		if f.old == nil || !l.unchanged(f.blob.identity, f.old.identity) || f.old.unread != nil && f.blob.unread == nil {
			s.Changed++
		}
		if f.same == nil {
			s.count(f.blob)
		}
		s.objects[f.path] = l.object(f, siblings)
	}
	if gone := l.old.Files - s.Files; gone > 0 {
		s.Changed += gone
	}
	for _, folder := range l.folders {
		if len(folder.files) == 0 || !folder.files[0].kept {
			l.index(s, folder.path)
		}
	}
}

// object is what a file's path names: the same as before if nothing about it is
// new. Its page need not be rendered anew then, and a release that differs in a
// few files takes memory for those.
func (l *loader) object(f *found, siblings map[string]*found) *Object {
	contentType, cacheControl := l.types.lookup(f.name), l.cacheControl(f.path)
	representations := l.representations(f, siblings)
	if o := f.was; o != nil && o.ContentType == contentType && o.CacheControl == cacheControl && o.Mode == f.mode &&
		slices.EqualFunc(o.Representations, representations, (*Representation).same) {
		return o
	}
	return &Object{ContentType: contentType, CacheControl: cacheControl, Mode: f.mode, Representations: representations}
}

// siblings are the files that may stand for another one, by their paths.
func (l *loader) siblings() map[string]*found {
	all := make(map[string]*found)
	for f := range l.files() {
		for _, e := range encodings {
			if strings.HasSuffix(f.path, e.suffix) {
				all[f.path] = f
			}
		}
	}
	return all
}

// representations returns the file's own and those of its siblings that may
// stand for it: not older, smaller, and with the same permissions.
func (l *loader) representations(f *found, siblings map[string]*found) []*Representation {
	all := []*Representation{f.blob}
	if len(siblings) == 0 {
		return all
	}
	for _, e := range encodings {
		sibling := siblings[f.path+e.suffix]
		if sibling == nil || sibling.blob == nil || sibling.mode != f.mode || sibling.kept != f.kept ||
			sibling.id.mtime < f.id.mtime || sibling.id.size == 0 || sibling.blob.Size >= f.blob.Size {
			continue
		}
		encoded := *sibling.blob
		encoded.Encoding = e.coding
		encoded.ModTime, encoded.LastModified = f.blob.ModTime, f.blob.LastModified
		all = append(all, &encoded)
	}
	return all
}

// index lets a directory be served by its index file, and redirects to it from
// the path without the slash.
func (l *loader) index(s *Snapshot, dir string) {
	for _, name := range l.options.Index {
		o := s.objects[dir+name]
		if o == nil {
			continue
		}
		// An object of its own: the rules may tell the two paths apart.
		s.objects[dir] = &Object{
			ContentType: o.ContentType, CacheControl: o.CacheControl, Mode: o.Mode, Representations: o.Representations,
		}
		if dir != "/" {
			s.objects[dir[:len(dir)-1]] = &Object{Location: dir}
		}
		return
	}
}

func (l *loader) cacheControl(path string) string {
	for _, c := range l.options.CacheControl {
		if c.Match.Match(path) {
			return c.Value
		}
	}
	return ""
}

func (s *Snapshot) count(r *Representation) {
	switch {
	case r.unread != nil:
		s.Unread++
	case r.file == nil:
		s.MemoryFiles++
		s.MemoryBytes += r.Size
	case r.file.kept != nil:
		s.OpenFiles++
	}
}
