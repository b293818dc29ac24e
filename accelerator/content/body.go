package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// errChanged is the error of a file that is no longer what was loaded: written
// in place, replaced by another, or on a disk that is gone.
var errChanged = errors.New("the file changed since it was loaded")

// openFile is how the bytes of a representation that is not in memory are had.
// Immutable.
type openFile struct {
	kept *os.File  // kept open for the life of the snapshot, or nil
	fd   int       // its descriptor
	root *confined // else: opened below root by name
	name string
}

// Body is the bytes of one representation for one response, with an offset of
// its own. Close it. It is an io.ReadSeeker as http.ServeContent wants it.
//
// A file's bytes are only ever handed out if the file, looked at afterwards, is
// still the one that was loaded. So a response is whole and from one state of
// the file, or it fails.
type Body struct {
	io.ReadSeeker
	file     *os.File // nil if in memory
	identity identity
}

// Open returns the representation's bytes. It fails with an error if they are no
// longer to be had: nothing has been sent then, and somebody else may answer.
func (r *Representation) Open() (*Body, error) {
	if r.file == nil {
		return &Body{ReadSeeker: bytes.NewReader(r.body)}, nil
	}
	f, err := r.file.open()
	if err != nil {
		return nil, err
	}
	b := &Body{file: f, identity: r.identity}
	b.ReadSeeker = f
	if err := b.unchanged(); err != nil {
		f.Close()
		return nil, err
	}
	// The first byte shows whether the disk is still there: fstat answers from
	// the inode in memory even after the stick was pulled.
	if r.Size > 0 {
		var first [1]byte
		if _, err := f.ReadAt(first[:], 0); err != nil {
			f.Close()
			return nil, err
		}
	}
	return b, nil
}

// open returns a descriptor with its own offset. Opening the link in /proc
// reaches the same inode even if its name is gone.
func (o *openFile) open() (*os.File, error) {
	if o.kept == nil {
		return o.root.OpenFile(o.name)
	}
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", o.fd))
}

// Read reads from memory, or from the file and then makes sure that it was not
// changed meanwhile.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadSeeker.Read(p)
	if n > 0 && b.file != nil {
		if changed := b.unchanged(); changed != nil {
			return 0, changed
		}
	}
	return n, err
}

// Close closes the file, if there is one.
func (b *Body) Close() error {
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

func (b *Body) unchanged() error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	if !identityOf(info).sameBytes(b.identity) {
		return errChanged
	}
	return nil
}

// heldBack is how much of a response is kept until the file was seen unchanged
// after all that went before it was sent. A client that never gets it knows
// that its copy is not whole.
const heldBack = 4 << 10

// sendTo copies n bytes from the body's offset to w: by sendfile(2) for a file,
// if w is a connection or leads to one, all but the last few.
func (b *Body) sendTo(w io.Writer, readFrom func(io.Reader) (int64, error), n int64) (int64, error) {
	if r, ok := b.ReadSeeker.(*bytes.Reader); ok && n == int64(r.Len()) {
		return r.WriteTo(onlyWriter{w}) // In one write, without a buffer between.
	}
	var sent int64
	if b.file != nil && n > heldBack {
		var err error
		sent, err = readFrom(&io.LimitedReader{R: b.file, N: n - heldBack})
		if err != nil {
			return sent, err
		}
		if sent < n-heldBack {
			return sent, errChanged
		}
	}
	rest, err := io.CopyN(onlyWriter{w}, b, n-sent)
	return sent + rest, err
}

// onlyWriter hides a ReadFrom, so that io.Copy uses Write.
type onlyWriter struct{ io.Writer }
