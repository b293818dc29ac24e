package accesslog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rotate ends the file under another name and begins a new one. If somebody else
// has moved it away, it is left there.
func (f *file) rotate(now time.Time) error {
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	path := f.o.To.File
	if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
		old, err := endedFiles(path)
		if err != nil {
			return err
		}
		number := uint64(1)
		if len(old) > 0 {
			number = old[len(old)-1].number + 1
		}
		if err := os.Rename(path, fmt.Sprintf("%s.%06d", path, number)); err != nil {
			return err
		}
	}
	next, err := openFile(f.o, now)
	if err != nil {
		return err
	}
	err = f.Close()
	*f = *next
	return err
}

// prune removes the oldest files until there is room for this one.
func (f *file) prune() error {
	old, err := endedFiles(f.o.To.File)
	if err != nil {
		return err
	}
	total := max(f.size, f.o.RotateBytes)
	for _, o := range old {
		total += o.size
	}
	for _, o := range old {
		if total <= f.o.KeepBytes {
			break
		}
		if err := os.Remove(o.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= o.size
	}
	return nil
}

// ended is a file that was rotated.
type ended struct {
	path   string
	number uint64
	size   int64
}

// endedFiles returns the files that path had before, the oldest first.
func endedFiles(path string) ([]ended, error) {
	folder, base := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []ended
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), base+".")
		number, err := strconv.ParseUint(digits, 10, 63)
		if !ok || err != nil || len(digits) < 6 || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // Removed meanwhile.
		}
		all = append(all, ended{filepath.Join(folder, e.Name()), number, info.Size()})
	}
	slices.SortFunc(all, func(a, b ended) int { return cmp.Compare(a.number, b.number) })
	return all, nil
}
