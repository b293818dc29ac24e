package guard

import (
	"fmt"
	"io"
	"os"
)

// Archive writes an initramfs with one program in it, as /init (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
func Archive(w io.Writer, program *os.File) error {
	info, err := program.Stat()
	if err != nil {
		return err
	}
	a := &archive{w: w}
	for _, dir := range []string{"dev", "proc", "sys", "root"} {
		a.header(dir, 0o040755, 0, 0, 0)
	}
	a.header("dev/console", 0o020600, 0, 5, 1)
	a.header("init", 0o100755, info.Size(), 0, 0)
	n, err := io.Copy(a, io.NewSectionReader(program, 0, info.Size()))
	if err != nil {
		return err
	}
	if n != info.Size() {
		return io.ErrUnexpectedEOF
	}
	a.pad()
	a.header("TRAILER!!!", 0, 0, 0, 0)
	return a.err
}

// archive writes the newc format of cpio, and remembers the first error.
type archive struct {
	w    io.Writer
	n    int64
	node int
	err  error
}

// Write implements io.Writer.
func (a *archive) Write(b []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.w.Write(b)
	a.n, a.err = a.n+int64(n), err
	return n, err
}

// header writes what comes before a file's content.
func (a *archive) header(name string, mode int, size int64, major, minor int) {
	a.node++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.node, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() { a.Write(make([]byte, (4-a.n%4)%4)) }
