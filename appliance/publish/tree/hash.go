package tree

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ramjet/appliance/release"
)

// settled is how long a file must have been left alone for its hash to be remembered: a change within the same tick of the
// file system's clock could not be told from none.
const settled = 2 * time.Second

// hash fills in the hashes, from the cache where a file is what it was.
func (t *Tree) hash(ctx context.Context, o Options) error {
	known := map[string]remembered{}
	if o.Cache != "" {
		known = load(o.Cache)
	}
	var todo []*File
	var bytes int64
	for i := range t.Files {
		f := &t.Files[i]
		if was, is := known[f.Path]; is && was.id == f.id && !o.Fresh {
			f.Hash = was.hash
			continue
		}
		todo = append(todo, f)
		bytes += f.id.size
	}
	if o.Reads != nil {
		o.Reads(len(todo), bytes)
	}
	started := time.Now()
	if err := t.hashAll(ctx, todo, o.Read); err != nil {
		return err
	}
	if o.Cache == "" || len(todo) == 0 && len(known) == len(t.Files) {
		return nil
	}
	save(o.Cache, t.Files, started.Add(-settled).UnixNano()) // Without it the next time takes longer, that is all.
	return nil
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 256<<10)) }}

func (t *Tree) hashAll(ctx context.Context, todo []*File, read func(int64)) error {
	group, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(todo) || ctx.Err() != nil {
					return ctx.Err()
				}
				if err := t.hashOne(todo[i]); err != nil {
					return err
				}
				if read != nil {
					read(todo[i].id.size)
				}
			}
		})
	}
	return group.Wait()
}

func (t *Tree) hashOne(f *File) error {
	file, err := t.Open(f)
	if err != nil {
		return err
	}
	defer file.Close()
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{file}, *buffer); err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil || identityOf(info) != f.id {
		return fmt.Errorf("%s: %w", f.Path, ErrChanged)
	}
	f.Hash = release.Hash(sum.Sum(nil))
	return nil
}
