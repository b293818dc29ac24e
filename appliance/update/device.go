package update

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"ramjet/appliance/update/bootfs"
)

// size returns how many bytes a device or file has.
func size(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Seek(0, io.SeekEnd)
}

// readAt reads n bytes of a device or file, as the disk has them.
func readAt(path string, offset int64, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	forget(f)
	b := make([]byte, n)
	_, err = f.ReadAt(b, offset)
	return b, err
}

// writeAt writes into a device or file, waits until the disk has it, and reads it back.
func writeAt(path string, offset int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(b, offset); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	forget(f)
	back := make([]byte, len(b))
	if _, err := f.ReadAt(back, offset); err != nil {
		return err
	}
	if string(back) != string(b) {
		return fmt.Errorf("%s does not hold what was written at %d", path, offset)
	}
	return nil
}

// copyTo copies n bytes of a file into a device, waits until the disk has them, and compares them with what it says then.
func copyTo(path string, offset int64, from *os.File, at, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(io.NewOffsetWriter(f, offset), io.NewSectionReader(from, at, n)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	forget(f)
	return same(io.NewSectionReader(f, offset, n), io.NewSectionReader(from, at, n), path)
}

// patchTo is copyTo for a device that has most of it already: what is the same is not written again.
func patchTo(path string, from *os.File, n int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const block = 64 << 10
	has, wants := make([]byte, block), make([]byte, block)
	var written []int64 // offsets
	for at := int64(0); at < n; at += block {
		wants = wants[:min(block, n-at)]
		if _, err := from.ReadAt(wants, at); err != nil {
			return err
		}
		if k, err := f.ReadAt(has[:len(wants)], at); err == nil && bytes.Equal(has[:k], wants) {
			continue
		}
		if _, err := f.WriteAt(wants, at); err != nil {
			return err
		}
		written = append(written, at)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	forget(f)
	for _, at := range written {
		length := min(block, n-at)
		if err := same(io.NewSectionReader(f, at, length), io.NewSectionReader(from, at, length), path); err != nil {
			return err
		}
	}
	return nil
}

// same makes an error of a difference between two readers.
func same(got, want io.Reader, name string) error {
	is, err := bootfs.Equal(got, want)
	if err != nil {
		return fmt.Errorf("reading %s back: %w", name, err)
	}
	if !is {
		return fmt.Errorf("%s does not hold what was written: the disk is broken", name)
	}
	return nil
}

// forget drops what the kernel remembers of a file's content, so that the disk itself is read next.
func forget(f *os.File) { _ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
