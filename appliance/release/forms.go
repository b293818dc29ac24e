package release

import (
	"os"
	"slices"
	"strings"
)

// packed are the ends of the names of compressed forms. The accelerator serves a form unless it is older than its file.
var packed = []string{".br", ".zst", ".gz"}

// fileOf is the file of which a path names a compressed form, if it is one of the manifest.
func (m Manifest) fileOf(form string) (file Entry, is bool) {
	for _, end := range packed {
		if path, has := strings.CutSuffix(form, end); has {
			if file, is = m.find(path); is {
				return file, true
			}
		}
	}
	return Entry{}, false
}

// find is the entry of a path.
func (m Manifest) find(path string) (e Entry, is bool) {
	i, is := slices.BinarySearchFunc(m, path, func(e Entry, path string) int { return comparePaths(e.Path, path) })
	if is {
		e = m[i]
	}
	return e, is
}

// agree makes sure that a form which belongs to its file is not older than it, though a content keeps the time at which it
// came first: one that has come just now (the clock may have been set back), and one of the live release whose file has come
// again (it had rotted). Any other form that is older stays so: it may be one of what the file was before.
func (s *Store) agree(h *shelf, m Manifest, live string) error {
	var before Manifest
	for _, e := range m {
		file, is := m.fileOf(e.Path)
		if !is {
			continue
		}
		needed, fileAt, err := s.changed(h, file)
		if err != nil {
			return err
		}
		has, at, err := s.changed(h, e)
		if err != nil {
			return err
		}
		switch {
		case has >= needed:
		case at == h.incoming:
			err = setTime(at, e.Hash.String(), needed)
		case fileAt == h.incoming && live != "":
			if before == nil {
				before, _ = manifest(h, live) // One made by hand has none.
			}
			oldFile, _ := before.find(file.Path)
			oldForm, _ := before.find(e.Path)
			if oldFile.Hash == file.Hash && oldForm.Hash == e.Hash {
				err = setTime(fileAt, file.Hash.String(), has)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// changed is the time of the last change of a content that is there, in nanoseconds since 1970, and where it is.
func (s *Store) changed(h *shelf, e Entry) (nanoseconds int64, at *os.File, err error) {
	if at, err = s.where(h, e.Hash, e.Size); err == nil && at == nil {
		err = &MissingError{[]Missing{{Hash: e.Hash}}}
	}
	if err != nil {
		return 0, nil, err
	}
	st, err := stat(at, e.Hash.String())
	return st.Mtim.Nano(), at, err
}
