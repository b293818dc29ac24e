// Package bootfs reads the boot file system of a gokrazy box, FAT16 as gok makes it: every file in one piece.
package bootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Sector is the size of one, in bytes.
const Sector = 512

// Layout is what the first sector of a FAT16 file system says (Microsoft's "FAT: General Overview of On-Disk Format").
type Layout struct {
	Reserved, Table uint16 // sectors before the table, and of the table
	Total           uint32 // sectors of all
}

// ReadLayout reads it.
func ReadLayout(first []byte) (Layout, error) {
	le := binary.LittleEndian
	if len(first) < Sector || first[510] != 0x55 || first[511] != 0xaa || le.Uint16(first[11:]) != Sector || first[16] != 1 {
		return Layout{}, errors.New("no FAT file system as gok makes it")
	}
	l := Layout{Reserved: le.Uint16(first[14:]), Table: le.Uint16(first[22:]), Total: le.Uint32(first[32:])}
	if small := le.Uint16(first[19:]); small != 0 {
		l.Total = uint32(small)
	}
	if l.Reserved == 0 || l.Table == 0 || uint32(l.Reserved)+uint32(l.Table) >= min(l.Total, 1<<16) {
		return Layout{}, errors.New("a FAT file system that makes no sense")
	}
	return l, nil
}

// WithFirst reads a partition with another first sector.
type WithFirst struct {
	io.ReaderAt
	First []byte // the sector
}

// ReadAt implements io.ReaderAt.
func (w WithFirst) ReadAt(b []byte, at int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(b, at)
	if at < int64(len(w.First)) {
		copy(b[:n], w.First[at:])
	}
	return n, err
}

// Open opens a file system, a partition or a file, with its length.
func Open(path string, flags int) (f *os.File, limit int64, err error) {
	if f, err = os.OpenFile(path, flags, 0); err != nil {
		return nil, 0, err
	}
	if limit, err = f.Seek(0, io.SeekEnd); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, limit, nil
}

// File is a file of a boot file system: gok's are in one piece.
type File struct{ Offset, Length int64 }

// volume is where the parts of a file system are, in bytes.
type volume struct {
	top, entries  int64 // the root directory, and how many entries it has
	data, cluster int64 // the first cluster, and the size of one
}

func readVolume(r io.ReaderAt) (volume, error) {
	first := make([]byte, Sector)
	if _, err := r.ReadAt(first, 0); err != nil {
		return volume{}, err
	}
	l, err := ReadLayout(first)
	if err != nil {
		return volume{}, err
	}
	v := volume{
		top: (int64(l.Reserved) + int64(l.Table)) * Sector, entries: int64(binary.LittleEndian.Uint16(first[17:])), cluster: int64(first[13]) * Sector,
	}
	v.data = v.top + (v.entries*32+Sector-1)/Sector*Sector
	return v, nil
}

// file is what a directory's entry says.
func (v volume) file(entry []byte) (f File, isDir bool) {
	first := int64(binary.LittleEndian.Uint16(entry[26:]))
	return File{v.data + (first-2)*v.cluster, int64(binary.LittleEndian.Uint32(entry[28:]))}, entry[11]&0x10 != 0
}

// Find returns where a file is, by its short name; limit is the length of the file system.
func Find(r io.ReaderAt, limit int64, name string) (File, error) {
	v, err := readVolume(r)
	if err != nil {
		return File{}, err
	}
	dir, entries := v.top, v.entries
	for steps := strings.Split(name[1:], "/"); ; steps = steps[1:] {
		entry, err := lookUp(r, dir, entries, steps[0])
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", name, err)
		}
		f, isDir := v.file(entry)
		if isDir {
			f.Length = v.cluster
		}
		if isDir == (len(steps) == 1) || f.Offset < v.data || f.Length < 1 || f.Length > limit || f.Offset > limit-f.Length {
			return File{}, fmt.Errorf("%s is not a whole file", name)
		}
		if !isDir {
			return f, nil
		}
		dir, entries = f.Offset, v.cluster/32
	}
}

// lookUp returns the entry of a name in the directory at an offset.
func lookUp(r io.ReaderAt, dir, entries int64, name string) ([]byte, error) {
	b := make([]byte, entries*32)
	if n, err := r.ReadAt(b, dir); err != nil && n < 32 {
		return nil, err
	}
	for ; len(b) >= 32 && b[0] != 0; b = b[32:] {
		if b[11]&0x08 == 0 && strings.EqualFold(shortName(b), name) { // Not a label, nor a part of a long name.
			return b[:32], nil
		}
	}
	return nil, os.ErrNotExist
}

// Read reads a file.
func (f File) Read(r io.ReaderAt) ([]byte, error) {
	b := make([]byte, f.Length)
	_, err := r.ReadAt(b, f.Offset)
	return b, err
}

// mostEntries bounds what is read of the directories of a boot file system, which may run in circles; those of a Raspberry Pi
// have about 1,500.
const mostEntries = 1 << 15

// Files lists the files of a boot file system, each in one piece, by path: short names, "/loader/entries/gokraz~1.con".
func Files(r io.ReaderAt, limit int64) (map[string]File, error) {
	v, err := readVolume(r)
	if err != nil {
		return nil, err
	}
	all, seen := map[string]File{}, 0
	var list func(path string, offset int64, depth int) error
	list = func(path string, offset int64, depth int) error {
		entry := make([]byte, 32)
		for ; offset+32 <= limit && (path != "/" || offset < v.data); offset += 32 {
			if _, err := r.ReadAt(entry, offset); err != nil {
				return err
			}
			if seen++; seen > mostEntries {
				return errors.New("directories without an end")
			}
			switch {
			case entry[0] == 0:
				return nil
			case entry[0] == 0xe5, entry[11]&0x08 != 0, entry[0] == '.': // Removed; a label, or a part of a long name; above.
				continue
			}
			f, isDir := v.file(entry)
			name := path + shortName(entry)
			if f.Length > 0 && (f.Offset < v.data || f.Offset > limit-f.Length) || depth > 8 {
				return fmt.Errorf("%s is no file as gok makes it", name)
			}
			if !isDir {
				all[strings.ToLower(name)] = f
			} else if err := list(name+"/", f.Offset, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return all, list("/", v.top, 0)
}

// shortName is the name of a directory's entry.
func shortName(entry []byte) string {
	name := strings.TrimRight(string(entry[:8]), " ")
	if end := strings.TrimRight(string(entry[8:11]), " "); end != "" {
		name += "." + end
	}
	return name
}
