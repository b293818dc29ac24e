package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ramjet/appliance/durable"
)

// markStart begins the lines that the keeper itself writes. One of them comes before the first line of each start of the
// machine, and at the beginning of each file: so it can be told, after a start of this program, what was heard before.
const markStart = "--- "

// file is the one that is written now. What it does to the disk:
//
//	write:  write                                                       (whole lines, O_APPEND)
//	sync:   fdatasync
//	rotate: fdatasync; close; rename NAME.2 NAME.3, NAME.1 NAME.2, NAME NAME.1; open NAME; fsync of the directory
//
// A write that the disk takes in part is taken back.
type file struct {
	path string
	boot string
	size int64 // of a file, above which the next one is begun

	open   *os.File // nil: not yet, or after an error
	length int64
	marked bool // what is written now is of this start of the machine
	dirty  bool
}

func newFile(dir, name, boot string) *file {
	return &file{path: filepath.Join(dir, name+".log"), boot: boot, size: fileBytes}
}

// generation is the name of a file that was ended; 0 is the one that is written.
func (f *file) generation(n int) string {
	if n == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, n)
}

func (f *file) mark() string {
	return fmt.Sprintf("%sstart of the machine %s, file continued %s ---\n", markStart, f.boot, time.Now().UTC().Format(time.RFC3339))
}

// write appends lines. After an error nothing of them is there, as far as the disk lets that be.
func (f *file) write(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if err := f.prepare(); err != nil {
		return err
	}
	if f.length > 0 && f.length+int64(len(text)) > f.size {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	if !f.marked {
		text = append([]byte(f.mark()), text...)
	}
	n, err := f.open.Write(text)
	if err != nil {
		if n > 0 {
			_ = f.open.Truncate(f.length)
		}
		f.close()
		return err
	}
	f.length += int64(n)
	f.marked, f.dirty = true, true
	return nil
}

// prepare opens the file, and ends its last line if a power cut has not let it.
func (f *file) prepare() error {
	if f.open != nil {
		return nil
	}
	if err := durable.MakeDir(filepath.Dir(f.path)); err != nil {
		return err
	}
	open, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	length, err := open.Seek(0, 2)
	last := []byte("\n")
	if err == nil && length > 0 {
		_, err = open.ReadAt(last, length-1)
	}
	if err == nil && last[0] != '\n' {
		var n int
		n, err = open.WriteString("\n")
		length += int64(n)
	}
	if err != nil {
		open.Close()
		return err
	}
	f.open, f.length = open, length
	return nil
}

func (f *file) close() {
	if f.open != nil {
		f.open.Close()
	}
	f.open, f.dirty = nil, false
}

// rotate begins the next file. The oldest goes: it is overwritten by the rename.
func (f *file) rotate() error {
	if err := f.sync(); err != nil {
		return err
	}
	f.close()
	for n := kept; n > 0; n-- {
		if err := os.Rename(f.generation(n-1), f.generation(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f.marked = false
	if err := f.prepare(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(f.path))
}

// sync returns when the disk has what was written.
func (f *file) sync() error {
	if !f.dirty {
		return nil
	}
	if err := unix.Fdatasync(int(f.open.Fd())); err != nil {
		f.close()
		return os.NewSyscallError("fdatasync", err)
	}
	f.dirty = false
	return nil
}

// lastLines returns the last lines of this start of the machine that the file has, without marks.
func (f *file) lastLines(n int) []string {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return nil
	}
	var lines []string
	mine := false
	for line := range strings.Lines(string(text)) {
		line, whole := strings.CutSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, markStart+"start of the machine "):
			mine = strings.HasPrefix(line, markStart+"start of the machine "+f.boot)
			lines = nil
		case whole && mine && !strings.HasPrefix(line, markStart):
			lines = append(lines, line)
		}
	}
	f.marked = mine
	return lines[max(0, len(lines)-n):]
}

// tail returns the last lines of all that is kept, and of what comes behind it, of at most so many bytes.
func (f *file) tail(behind []byte, lines int, most int) ([]byte, error) {
	all := behind
	for n := 0; n <= kept && bytes.Count(all, []byte("\n")) < lines && len(all) < most; n++ {
		text, err := os.ReadFile(f.generation(n))
		if errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return nil, err
		}
		all = append(text, all...)
	}
	begin := len(all)
	for at := len(all); at > 0 && lines > 0; lines-- {
		at = bytes.LastIndexByte(all[:at-1], '\n') + 1
		if len(all)-at > most {
			break
		}
		begin = at
	}
	return all[begin:], nil
}

// bytesKept is how much all files of the stream have.
func (f *file) bytesKept() (sum int64) {
	for n := range kept + 1 {
		if info, err := os.Stat(f.generation(n)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// roomLeft says why nothing more should be written to a disk, if so.
func roomLeft(dir string, reserve uint64) error {
	if err := durable.MakeDir(dir); err != nil {
		return err
	}
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return os.NewSyscallError("statfs", err)
	}
	if free := s.Bavail * uint64(s.Bsize); free < reserve {
		return fmt.Errorf("%s has only %d MiB left", dir, free>>20)
	}
	return nil
}
