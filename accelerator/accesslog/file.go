package accesslog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// file is a file that is rotated. What it does to the disk:
//
//	write:  write                                  (in whole lines, O_APPEND)
//	rotate: rename PATH PATH.000042; unlink PATH.000007 …; open PATH; close
//
// Names that are rotated are numbered upwards, for a clock may be wrong: on a
// small board it is until the network is there.
//
// Before a file is begun, the oldest ones are removed until it fits into
// KeepBytes at its full size. A file that cannot be renamed is an error: it would
// grow for ever.
type file struct {
	*os.File
	o       *Options
	regular bool // else it is neither rotated nor mended
	size    int64
	born    time.Time
}

// pipePatience bounds the waiting for whoever reads a pipe.
const pipePatience = time.Second

// openFile opens, or makes, the file, mode 0640.
func openFile(o *Options, now time.Time) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(o.To.File), 0o755); err != nil {
		return nil, err
	}
	// O_NONBLOCK: a pipe that nobody reads is an error, not a wait.
	f, err := os.OpenFile(o.To.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return nil, err
	}
	l := &file{File: f, o: o, born: now}
	if err := l.resume(now); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// resume finds out what the file has.
func (f *file) resume(now time.Time) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if f.regular = info.Mode().IsRegular(); !f.regular {
		return nil
	}
	f.size = info.Size()
	if f.size == 0 {
		return f.prune()
	}
	if born, ok := f.birth(); ok && born.Before(now) {
		f.born = born
	}
	if err := f.mend(); err != nil {
		return err
	}
	return f.prune()
}

// mend ends the last line if its end was lost, in a power cut for example, so that
// the next one does not suffer.
func (f *file) mend() error {
	r, err := os.Open(f.o.To.File)
	if err != nil {
		return err
	}
	defer r.Close()
	last := make([]byte, 1)
	if _, err := r.ReadAt(last, f.size-1); err != nil || last[0] == '\n' {
		return err
	}
	if _, err := f.Write([]byte("\n")); err != nil {
		return err
	}
	f.size++
	return nil
}

// birth returns when the file was made, if the file system knows.
func (f *file) birth() (time.Time, bool) {
	var s unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &s)
	if err != nil || s.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, false
	}
	return time.Unix(s.Btime.Sec, int64(s.Btime.Nsec)), true
}

// write writes lines, to the next file if they do not fit into this one. Of a
// line that was cut, because the disk is full, nothing stays.
func (f *file) write(lines []byte) (int, error) {
	if f.regular && f.size > 0 && f.size+int64(len(lines)) > f.o.RotateBytes {
		if err := f.rotate(time.Now()); err != nil {
			return 0, err
		}
	}
	if !f.regular {
		_ = f.SetWriteDeadline(time.Now().Add(pipePatience)) // What has no deadlines does not wait either.
	}
	n, err := f.Write(lines)
	whole := wholeLines(lines[:n])
	if torn := int64(n - whole); torn > 0 && f.regular {
		err = errors.Join(err, f.cut(torn))
	}
	f.size += int64(whole)
	return whole, err
}

// cut takes the last bytes away. It asks for the size: others may have shortened
// the file.
func (f *file) cut(torn int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Truncate(max(info.Size()-torn, 0))
}

// wholeLines returns the length of b up to its last line end.
func wholeLines(b []byte) int { return bytes.LastIndexByte(b, '\n') + 1 }

// tick ends a file that is old enough.
func (f *file) tick(now time.Time) error {
	if f.regular && f.size > 0 && f.o.RotateAge > 0 && now.Sub(f.born) >= f.o.RotateAge {
		return f.rotate(now)
	}
	return nil
}

func (f *file) sync() error {
	if !f.regular {
		return nil
	}
	return f.Sync()
}

func (f *file) close() error { return f.Close() }
