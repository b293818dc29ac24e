package update

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Where the boot partition has no room for two file systems, the one in use is left alone if nothing but the root is new:
// kernels change more seldom than programs do, and to be written over is the one thing that a power cut can break.

// sameBoot tells whether two boot file systems of gok's hold the same files, but for the root in their command lines.
func sameBoot(a, b io.ReaderAt, limitA, limitB int64) (bool, error) {
	filesA, err := files(a, limitA)
	if err != nil {
		return false, err
	}
	filesB, err := files(b, limitB)
	if err != nil {
		return false, err
	}
	if len(filesA) != len(filesB) {
		return false, nil
	}
	for name, of := range filesA {
		with, is := filesB[name]
		switch {
		case !is:
			return false, nil
		case strings.EqualFold(name, commandFile) || strings.EqualFold(name, entryFile):
			x, err := of.read(a)
			if err != nil {
				return false, err
			}
			y, err := with.read(b)
			if err != nil {
				return false, err
			}
			if !bytes.Equal(withoutRoot(x), withoutRoot(y)) {
				return false, nil
			}
		case of.length != with.length:
			return false, nil
		default:
			is, err := equal(io.NewSectionReader(a, of.offset, of.length), io.NewSectionReader(b, with.offset, with.length))
			if err != nil || !is {
				return false, err
			}
		}
	}
	return true, nil
}

func withoutRoot(line []byte) []byte {
	return bytes.TrimRight(rootArgument.ReplaceAllLiteral(line, []byte("root=")), " \n")
}

// mostFiles bounds a boot file system; that of a Raspberry Pi has about 400.
const mostFiles = 4096

// files lists the files of a boot file system, each in one piece, by path: short names, "/loader/entries/gokraz~1.con".
func files(r io.ReaderAt, limit int64) (map[string]file, error) {
	first := make([]byte, sector)
	if _, err := r.ReadAt(first, 0); err != nil {
		return nil, err
	}
	l, err := readLayout(first)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	top := (int64(l.reserved) + int64(l.table)) * sector
	data := top + (int64(le.Uint16(first[17:]))*32+sector-1)/sector*sector
	cluster := int64(first[13]) * sector
	all := map[string]file{}
	var list func(path string, offset int64, depth int) error
	list = func(path string, offset int64, depth int) error {
		entry := make([]byte, 32)
		for ; offset+32 <= limit && (path != "/" || offset < data); offset += 32 {
			if _, err := r.ReadAt(entry, offset); err != nil {
				return err
			}
			attributes := entry[11]
			switch {
			case entry[0] == 0:
				return nil
			case entry[0] == 0xe5, attributes&0x08 != 0, entry[0] == '.': // Removed; a label, or a part of a long name; above.
				continue
			}
			f := file{data + (int64(le.Uint16(entry[26:]))-2)*cluster, int64(le.Uint32(entry[28:]))}
			name := path + shortName(entry)
			if f.length > 0 && (f.offset < data || f.offset > limit-f.length) || depth > 8 || len(all) >= mostFiles {
				return fmt.Errorf("%s is no file as gok makes it", name)
			}
			if attributes&0x10 == 0 {
				all[strings.ToLower(name)] = f
			} else if err := list(name+"/", f.offset, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return all, list("/", top, 0)
}

// shortName is the name of a directory's entry.
func shortName(entry []byte) string {
	name := strings.TrimRight(string(entry[:8]), " ")
	if end := strings.TrimRight(string(entry[8:11]), " "); end != "" {
		name += "." + end
	}
	return name
}
