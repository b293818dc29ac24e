package content

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
)

// keptName is where whoever publishes releases leaves the files of earlier ones that pages which were loaded before
// the flip still ask for: below the root, as the release would have them. They are served where the release has
// nothing of their name.
const keptName = ".ramjet/assets"

// kept returns the folders of such files, without those that the release itself has.
func (l *loader) kept(ctx context.Context, own []*folder) ([]*folder, error) {
	if l.place.release == "" {
		return nil, nil
	}
	top, err := openConfined(filepath.Join(l.place.root, keptName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil && failing(err):
		return nil, err
	case err != nil:
		l.skip(Skip{"/", "the files of earlier releases: " + reason(err)})
		return nil, nil
	}
	folders, skipped, err := walk(ctx, top, l.options, nil)
	if err != nil {
		return nil, err
	}
	for _, s := range skipped {
		l.skip(s)
	}
	if !slices.ContainsFunc(folders, func(f *folder) bool { return len(f.files) > 0 }) {
		return nil, nil
	}
	names := make(map[string]bool)
	for _, folder := range own {
		for _, f := range folder.files {
			names[f.path] = true
		}
	}
	var all []*folder
	for _, folder := range folders {
		files := folder.files[:0]
		for _, f := range folder.files {
			if !names[f.path] {
				f.kept = true
				files = append(files, f)
			}
		}
		if folder.files = files; len(files) > 0 {
			all = append(all, folder)
		}
	}
	return all, nil
}
