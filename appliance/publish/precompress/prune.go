package precompress

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// mostKept bounds the forms that are kept, in bytes. They serve to publish to another box, or once more after a cut.
const mostKept = 1 << 30

// prune removes the oldest forms above that.
func (m *Memory) prune(most int64) error {
	entries, err := os.ReadDir(filepath.Join(m.dir, "forms"))
	if err != nil {
		return err
	}
	var all []fs.FileInfo
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all, sum = append(all, info), sum+info.Size()
		}
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, info := range all {
		if sum <= most {
			break
		}
		if err := os.Remove(filepath.Join(m.dir, "forms", info.Name())); err != nil {
			return err
		}
		sum -= info.Size()
	}
	return nil
}
