package publish

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"ramjet/appliance/publish/precompress"
	"ramjet/appliance/release"
)

// work is a file of which compressed forms are wanted.
type work struct {
	precompress.Source
	suffixes []string
}

// formsOf finds the files of which compressed forms are wanted; those that the site has of its own stay. It tells whether
// they are all known from before.
func formsOf(m release.Manifest, from map[release.Hash]source, memory *precompress.Memory) (todo []work, known bool) {
	paths := make(map[string]bool, len(m))
	for _, e := range m {
		paths[e.Path] = true
	}
	known = true
	for _, e := range m {
		s := precompress.Source{Path: e.Path, Hash: e.Hash, Size: e.Size, Open: from[e.Hash].open}
		if suffixes := precompress.Wanted(s, func(path string) bool { return paths[path] }); len(suffixes) > 0 {
			todo = append(todo, work{s, suffixes})
			known = known && memory.Knows(s, suffixes)
		}
	}
	return todo, known
}

// compress makes them, several at a time.
func (p *Publisher) compress(ctx context.Context, memory *precompress.Memory, todo []work) (all []precompress.Form, err error) {
	files, bytes := 0, int64(0)
	for _, w := range todo {
		if !memory.Knows(w.Source, w.suffixes) {
			files, bytes = files+1, bytes+w.Size
		}
	}
	p.Progress.begin("compressing", files, bytes)
	defer p.Progress.end()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	var mu sync.Mutex
	for _, w := range todo {
		group.Go(func() error {
			known := memory.Knows(w.Source, w.suffixes)
			forms, err := memory.Forms(ctx, w.Source, w.suffixes)
			if !known {
				p.Progress.add(1, w.Size)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, forms...)
			return err
		})
	}
	return all, group.Wait()
}
