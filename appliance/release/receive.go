package release

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Missing is a content that a release needs and the box has not.
type Missing struct {
	Hash Hash
	Have int64 // bytes of it that have arrived before a cut: go on behind them
}

// missing tells which contents have to be sent before a release can be committed, and refuses one that cannot be: by its
// names (ErrRefused), by its place (ErrPlace), by its size (FullError).
func (s *Store) missing(ctx context.Context, h *shelf, m Manifest) ([]Missing, error) {
	st, err := h.space()
	if err != nil {
		return nil, err
	}
	var need room
	for range m.directories() {
		need.add(1, st.Bsize)
	}
	if err := h.lookAround(); err != nil {
		return nil, err
	}
	all := []Missing{}
	for e := range m.contents {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dir, err := s.where(h, e.Hash, e.Size)
		if err != nil {
			return nil, err
		}
		if dir != nil && dir == h.incoming {
			if err := s.stillWanted(h, e.Hash); err != nil {
				return nil, err
			}
		}
		if dir != nil {
			continue
		}
		one := Missing{Hash: e.Hash}
		if name := partName(e.Hash); h.mayWait(name) {
			if part, err := stat(h.incoming, name); err == nil && isRegular(&part) && part.Size <= e.Size {
				one.Have = part.Size
			}
		}
		need.add(e.Size-one.Have, st.Bsize)
		all = append(all, one)
	}
	return all, need.fits(&st)
}

// stillWanted has a content that waits for its release wait longer. One that has arrived a moment ago is left alone: it
// may be in a release already, whose files have the time of its commit.
func (s *Store) stillWanted(h *shelf, hash Hash) error {
	st, err := stat(h.incoming, hash.String())
	if err == nil && s.now().Sub(time.Unix(st.Mtim.Unix())) > patience/2 {
		err = setTime(h.incoming, hash.String(), s.now().UnixNano())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// The errors of Receive, beside those of the disk and of the reader.
var (
	ErrMismatch = errors.New("what arrived is not what its hash says")
	ErrFrom     = errors.New("that much of it has not arrived before")
)

const (
	buffer    = 256 << 10 // bytes
	leastPart = 1 << 20   // bytes that are worth being kept when a connection is cut
)

func partName(hash Hash) string { return hash.String() + ".part" }

// receive takes a content of size bytes, of which the reader gives those from `from` on. It counts once it has arrived
// whole and its hash is right. If the reader fails, what has arrived is kept, for another call to go on with.
func (s *Store) receive(h *shelf, hash Hash, size, from int64, r io.Reader) error {
	if dir, err := s.where(h, hash, size); dir != nil || err != nil {
		return err
	}
	if st, err := h.space(); err != nil {
		return err
	} else if need := new(room); true {
		need.add(size-from, st.Bsize)
		if err := need.fits(&st); err != nil {
			return err
		}
	}
	temporary := hash.String() + "." + rand.Text() + ".tmp"
	sum := sha256.New()
	f, err := begin(h, hash, temporary, from, sum)
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		f.Close()
		if !keep {
			_ = remove(h.incoming, temporary)
		}
	}()
	n, err := h.copyExactly(io.MultiWriter(f, sum), r, size-from)
	var cut readError
	switch {
	case errors.As(err, &cut) && from+n >= leastPart:
		keep = rename(h.incoming, temporary, h.incoming, partName(hash)) == nil
		return cut.error
	case errors.Is(err, unix.ENOSPC):
		return &FullError{Need: size - from - n, Free: 0}
	case err != nil:
		return err
	case Hash(sum.Sum(nil)) != hash:
		return ErrMismatch
	}
	if err := letRead(f); err != nil {
		return err
	}
	beginWriting(f, size)
	if err := rename(h.incoming, temporary, h.incoming, hash.String()); err != nil {
		return err
	}
	keep = true
	s.trust(hash)
	return nil
}

// begin opens the file for a content, and gives to sum what is in it already.
func begin(h *shelf, hash Hash, temporary string, from int64, sum hash.Hash) (*os.File, error) {
	if from == 0 {
		return create(h.incoming, temporary)
	}
	// Taken away, so that no other one goes on with it at the same time.
	if err := rename(h.incoming, partName(hash), h.incoming, temporary); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrFrom
	} else if err != nil {
		return nil, err
	}
	f, err := h.root.OpenFile(incomingName+"/"+temporary, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	n, err := io.CopyN(sum, f, from)
	if n < from && err == io.EOF {
		err = ErrFrom
	}
	if err == nil {
		err = f.Truncate(from)
	}
	if err != nil {
		f.Close()
		_ = remove(h.incoming, temporary)
		return nil, err
	}
	return f, nil
}

// readError is an error of who sends.
type readError struct{ error }

func (r readError) Unwrap() error { return r.error }

// copyExactly copies n bytes, and makes sure that no more follow. One at a time: all of a call share a buffer.
func (h *shelf) copyExactly(w io.Writer, r io.Reader, n int64) (int64, error) {
	if h.buffer == nil {
		h.buffer = make([]byte, buffer)
	}
	buf := h.buffer
	var done int64
	for {
		got, err := r.Read(buf)
		if done+int64(got) > n {
			return done, ErrMismatch
		}
		if got > 0 {
			if _, err := w.Write(buf[:got]); err != nil {
				return done, err
			}
			done += int64(got)
		}
		switch {
		case err == io.EOF && done < n:
			return done, readError{io.ErrUnexpectedEOF}
		case err == io.EOF:
			return done, nil
		case err != nil:
			return done, readError{err}
		}
	}
}

// isOurs tells whether a name in incoming is a content's, whole or in part, or a manifest's.
func isOurs(name string) bool {
	_, err := ParseHash(strings.TrimSuffix(strings.TrimSuffix(name, ".part"), announcedEnd))
	return err == nil
}
