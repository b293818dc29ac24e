package update

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"crypto/sha256"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/bootfs"
)

// An update arrives in three parts. Each is kept in a file until all are there: nothing is written to a partition before.
const (
	rootPart   = "root"
	bootPart   = "boot"
	recordPart = "mbr"
	partial    = ".partial"
)

// reserve is what an update leaves free on /perm, in bytes.
const reserve = 8 << 20

// refusal is an error with the HTTP status that says what kind of it.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Errorf(format, args...)}
}

// stage keeps the parts of an update in a directory.
type stage struct {
	dir    string
	limits map[string]int64 // the size of the partition that a part is for
}

func (s *stage) path(part string) string { return filepath.Join(s.dir, part) }

// clear removes what is there.
func (s *stage) clear() error {
	var errs []error
	for part := range s.limits {
		for _, name := range []string{s.path(part), s.path(part) + partial} {
			if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// receive keeps a part, and returns its hash as gokrazy does. A part that is too large, cut short or not what it should
// be is refused, and leaves nothing. vouched, if it is not nil, is asked with its SHA-256.
func (s *stage) receive(part string, r *http.Request, vouched func(sum []byte) error) (sum []byte, err error) {
	limit := s.limits[part]
	if r.ContentLength > limit {
		return nil, refuse(http.StatusRequestEntityTooLarge, "%s: %d bytes do not fit into the %d bytes it is for", part, r.ContentLength, limit)
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	path := s.path(part)
	for _, name := range []string{path, path + partial} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	f, err := os.OpenFile(path+partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(path + partial)
		}
	}()
	var h hash.Hash = sha256.New()
	if r.Header.Get("X-Gokrazy-Update-Hash") == "crc32" {
		h = crc32.NewIEEE()
	}
	strong := sha256.New()
	n, err := io.Copy(&roomy{f: f, need: max(r.ContentLength, 0)}, io.TeeReader(io.LimitReader(r.Body, limit+1), io.MultiWriter(h, strong)))
	switch {
	case errors.Is(err, unix.ENOSPC):
		return nil, refuse(http.StatusInsufficientStorage, "%s: /perm is full after %d bytes", part, n)
	case err != nil:
		return nil, fmt.Errorf("%s, after %d bytes: %w", part, n, err)
	case n > limit:
		return nil, refuse(http.StatusRequestEntityTooLarge, "%s: more than the %d bytes it is for", part, limit)
	}
	if vouched != nil {
		if err := vouched(strong.Sum(nil)); err != nil {
			return nil, err
		}
	}
	if err := check(part, f, n); err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, "%s: %w", part, err)
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return h.Sum(nil), os.Rename(path+partial, path)
}

// roomy writes to a file as long as the reserve stays free.
type roomy struct {
	f       *os.File
	need    int64 // what is still to come, as far as is known
	checked int64 // bytes until the next look
}

// Write implements io.Writer.
func (w *roomy) Write(b []byte) (int, error) {
	if w.checked -= int64(len(b)); w.checked < 0 {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(int(w.f.Fd()), &fs); err != nil {
			return 0, fmt.Errorf("fstatfs: %w", err)
		}
		if missing := max(w.need, int64(len(b))) + reserve - int64(fs.Bavail)*fs.Bsize; missing > 0 {
			return 0, refuse(http.StatusInsufficientStorage, "%d bytes more have to be free on /perm", missing)
		}
		w.checked = reserve / 2
	}
	n, err := w.f.Write(b)
	w.need = max(w.need-int64(n), 0)
	return n, err
}

// check looks whether a part is what it should be, and all of it.
func check(part string, f io.ReaderAt, n int64) error {
	switch part {
	case rootPart:
		super := make([]byte, 96)
		if _, err := f.ReadAt(super, 0); err != nil || string(super[:4]) != "hsqs" {
			return errors.New("no squashfs")
		}
		// Linux, fs/squashfs/squashfs_fs.h: bytes_used.
		if used := binary.LittleEndian.Uint64(super[40:]); used < 96 || used > uint64(n) {
			return fmt.Errorf("cut short: %d bytes of %d", n, used)
		}
	case bootPart:
		first := make([]byte, bootfs.Sector)
		if _, err := f.ReadAt(first, 0); err != nil {
			return errors.New("no FAT file system")
		}
		if _, err := bootfs.ReadLayout(first); err != nil {
			return err
		}
		for _, name := range []string{bootfs.KernelFile, bootfs.CommandFile} {
			where, err := bootfs.Find(f, n, name)
			if err != nil {
				return err
			}
			if name == bootfs.CommandFile {
				if text, err := where.Read(f); err != nil || !bootfs.RootArgument.Match(text) {
					return fmt.Errorf("%s has no root=", name)
				}
			}
		}
	case recordPart:
		if n != recordSize {
			return fmt.Errorf("a master boot record of %d bytes, want %d", n, recordSize)
		}
	}
	return nil
}
