package release

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Tar publishes the files of a tar archive, as a release of their own. What the box has already is not written again.
// Directories and the fields of pax are read over; a link to another file of the archive (a hard link) is that file; all
// else, and what the accelerator would not serve by its mode, is refused. Nothing is visible unless the archive is whole.
func (s *Store) Tar(ctx context.Context, r io.Reader, by string) (Release, error) {
	if !s.archive.TryLock() {
		return Release{}, ErrBusy
	}
	defer s.archive.Unlock()
	m, err := s.receiveTar(ctx, r)
	if err != nil {
		return Release{}, err
	}
	if err := m.Check(); err != nil {
		return Release{}, err
	}
	return s.Commit(ctx, m, How{By: by})
}

// ErrBusy is the answer to an archive while another one is arriving: the list of its files is in memory.
var ErrBusy = errors.New("another archive is arriving: try again when it is here")

func (s *Store) receiveTar(ctx context.Context, r io.Reader) (Manifest, error) {
	h, err := s.open()
	if err != nil {
		return nil, err
	}
	defer h.close()
	var m Manifest
	byPath := map[string]int{}
	source := &ending{Reader: r}
	for archive := tar.NewReader(source); ; {
		header, err := archive.Next()
		switch {
		case source.ended && (err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)):
			return nil, errNoEnd
		case err == io.EOF:
			_, err := io.Copy(io.Discard, io.LimitReader(source, maxPadding)) // tar fills up its last record.
			return m, err
		case errors.Is(err, tar.ErrHeader):
			return nil, refusedf("this is no tar archive, or it is compressed: send it as it comes from tar -c")
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case len(m) >= MaxFiles:
			return nil, refusedf("more than %d files", MaxFiles)
		}
		e, isFile, err := s.receiveEntry(h, archive, header, m, byPath)
		if source.ended && errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errNoEnd
		} else if err != nil {
			return nil, err
		}
		if isFile {
			byPath[e.Path] = len(m)
			m = append(m, e)
		}
	}
}

var errNoEnd = refusedf("this is no tar archive, or it has no end: its tar did not finish")

// ending notes that the end was reached. A tar archive has an end of its own before, two blocks of zeros, without which
// package tar takes half an archive for a whole one.
type ending struct {
	io.Reader
	ended bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if n > 0 && err == io.EOF {
		return n, nil // The next call has it.
	}
	e.ended = e.ended || err == io.EOF
	return n, err
}

// maxPadding bounds what is read behind the end of an archive, in bytes.
const maxPadding = 1 << 20

func (s *Store) receiveEntry(h *shelf, r io.Reader, header *tar.Header, m Manifest, byPath map[string]int) (e Entry, isFile bool, err error) {
	name := strings.TrimPrefix(header.Name, "./")
	switch header.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return e, false, nil
	case tar.TypeReg, tar.TypeLink:
	case tar.TypeSymlink:
		return e, false, refusedf("%q is a symbolic link: send what it leads to (tar -h)", header.Name)
	default:
		return e, false, refusedf("%q is neither a file nor a directory", header.Name)
	}
	if err := CheckPath(name); err != nil {
		return e, false, refused{err}
	}
	if _, twice := byPath[name]; twice {
		return e, false, refusedf("%q is there twice", name)
	}
	if mode := uint32(header.Mode & 0o7777); header.Typeflag == tar.TypeReg && !Served(mode) {
		return e, false, refusedf("%q has mode %04o, and such files are not served: programs, and what not everybody may read. "+
			"Make it 644, or leave it out; for all of them: tar --mode=a=rX,u+w", name, mode)
	}
	if header.Typeflag == tar.TypeLink {
		target, known := byPath[strings.TrimPrefix(path.Clean(header.Linkname), "./")]
		if !known {
			return e, false, refusedf("%q is a link to %q, which is no file before it in the archive", name, header.Linkname)
		}
		return Entry{m[target].Hash, m[target].Size, name}, true, nil
	}
	hash, err := s.receiveUnknown(h, header.Size, r)
	return Entry{hash, header.Size, name}, true, err
}

// receiveUnknown takes a content whose hash is not known before it has arrived.
func (s *Store) receiveUnknown(h *shelf, size int64, r io.Reader) (hash Hash, err error) {
	if size <= small {
		content, err := io.ReadAll(r)
		if err != nil {
			return hash, err
		}
		hash = sha256.Sum256(content)
		return hash, s.receive(h, hash, size, 0, bytes.NewReader(content))
	}
	temporary, hash, err := arrive(h, size, r)
	if err != nil {
		return hash, err
	}
	dir, err := s.where(h, hash, size)
	if dir == nil && err == nil {
		err = rename(h.incoming, temporary, h.incoming, hash.String())
	}
	if dir != nil || err != nil {
		_ = remove(h.incoming, temporary)
		return hash, err
	}
	s.trust(hash)
	return hash, nil
}

// arrive writes size bytes into a file of incoming, and returns its name, and the hash of what it holds.
func arrive(h *shelf, size int64, r io.Reader) (temporary string, hash Hash, err error) {
	st, err := h.space()
	if err != nil {
		return "", hash, err
	}
	need := new(room)
	need.add(size, st.Bsize)
	if err := need.fits(&st); err != nil {
		return "", hash, err
	}
	temporary = "unknown-" + rand.Text() + ".tmp"
	f, err := create(h.incoming, temporary)
	if err != nil {
		return "", hash, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := h.copyExactly(io.MultiWriter(f, sum), r, size)
	if errors.Is(err, unix.ENOSPC) {
		err = &FullError{Need: size - n}
	}
	if err == nil {
		err = letRead(f)
		beginWriting(f, size)
	}
	if err != nil {
		_ = remove(h.incoming, temporary)
	}
	return temporary, Hash(sum.Sum(nil)), err
}

// small is the size in bytes up to which a content is held in memory until its hash is known.
const small = 1 << 20
