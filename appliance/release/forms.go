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
			i, is := slices.BinarySearchFunc(m, path, func(e Entry, path string) int { return comparePaths(e.Path, path) })
			if is {
				return m[i], true
			}
		}
	}
	return Entry{}, false
}

// agree gives each form that is older than its file the time of the file. A content keeps the time at which it came first:
// a file may have come after its form, as when it had rotted and was sent again, or the clock was set back between them.
func (s *Store) agree(h *shelf, m Manifest) error {
	for _, e := range m {
		file, is := m.fileOf(e.Path)
		if !is {
			continue
		}
		needed, _, err := s.changed(h, file)
		if err != nil {
			return err
		}
		has, at, err := s.changed(h, e)
		if err == nil && has < needed {
			err = setTime(at, e.Hash.String(), needed)
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
