package update

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// The boot partition holds two whole FAT file systems, one in use and one not. The first sector of the partition, which
// belongs to both, says by its number of reserved sectors where the table of the one in use begins, and everything else
// of a FAT file system follows its table. So the file system in use, with kernel, command line, boot loader and all, is
// exchanged for the other one by writing one sector, which a disk does whole or not at all. A BIOS knows nothing of FAT:
// there the master boot record holds the addresses of kernel and command line, and it is one sector, too.
//
//	sector 0        4                         highSlot
//	| which of them | table, files of the low | table, files of the high one     |
//
// The high one begins where the 16-bit numbers of a FAT, and of gokrazy's reader of it, still reach.
const (
	sector   = 512
	highSlot = 65024
)

// layout is what the first sector of a FAT16 file system says (Microsoft's "FAT: General Overview of On-Disk Format").
type layout struct {
	reserved, table uint16 // sectors before the table, and of the table
	total           uint32 // sectors of all
}

func readLayout(first []byte) (layout, error) {
	le := binary.LittleEndian
	if len(first) < sector || first[510] != 0x55 || first[511] != 0xaa || le.Uint16(first[11:]) != sector || first[16] != 1 {
		return layout{}, errors.New("no FAT file system as gok makes it")
	}
	l := layout{reserved: le.Uint16(first[14:]), table: le.Uint16(first[22:]), total: le.Uint32(first[32:])}
	if small := le.Uint16(first[19:]); small != 0 {
		l.total = uint32(small)
	}
	if l.reserved == 0 || l.table == 0 || uint32(l.reserved)+uint32(l.table) >= min(l.total, 1<<16) {
		return layout{}, errors.New("a FAT file system that makes no sense")
	}
	return l, nil
}

// moved returns the first sector of the same file system with its table at sector to.
func moved(first []byte, to uint16) ([]byte, error) {
	l, err := readLayout(first)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(first[:sector])
	binary.LittleEndian.PutUint16(out[14:], to)
	binary.LittleEndian.PutUint16(out[19:], 0)
	binary.LittleEndian.PutUint32(out[32:], l.total-uint32(l.reserved)+uint32(to))
	return out, nil
}

// errNoRoom says that the boot partition is too small for two.
var errNoRoom = errors.New("the boot partition has no room for two kernels")

// place says where a file system of that layout goes while the one of the other layout is in use.
func place(image, inUse layout, partition int64) (uint16, error) {
	length := int64(image.total) - int64(image.reserved)
	low, high := int64(4), int64(highSlot)
	switch {
	case inUse.reserved == highSlot && low+length <= high:
		return uint16(low), nil
	case inUse.reserved < highSlot && int64(inUse.total) <= high && (high+length)*sector <= partition:
		return highSlot, nil
	}
	return 0, errNoRoom
}

// withFirst reads a partition with another first sector.
type withFirst struct {
	io.ReaderAt
	first []byte
}

// ReadAt implements io.ReaderAt.
func (w withFirst) ReadAt(b []byte, at int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(b, at)
	if at < int64(len(w.first)) {
		copy(b[:n], w.first[at:])
	}
	return n, err
}

// file is a file of a boot file system: gok's are in one piece.
type file struct{ offset, length int64 }

// find returns where a file is, by its short name; limit is the length of the file system.
func find(r io.ReaderAt, limit int64, name string) (file, error) {
	first := make([]byte, sector)
	if _, err := r.ReadAt(first, 0); err != nil {
		return file{}, err
	}
	l, err := readLayout(first)
	if err != nil {
		return file{}, err
	}
	le := binary.LittleEndian
	entries := int64(le.Uint16(first[17:]))
	dir := (int64(l.reserved) + int64(l.table)) * sector
	data := dir + (entries*32+sector-1)/sector*sector
	cluster := int64(first[13]) * sector
	for steps := strings.Split(name[1:], "/"); ; steps = steps[1:] {
		entry, err := lookUp(r, dir, entries, steps[0])
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", name, err)
		}
		f := file{data + (int64(le.Uint16(entry[26:]))-2)*cluster, int64(le.Uint32(entry[28:]))}
		isDir := entry[11]&0x10 != 0
		if isDir {
			f.length = cluster
		}
		if isDir == (len(steps) == 1) || f.offset < data || f.length < 1 || f.length > limit || f.offset > limit-f.length {
			return file{}, fmt.Errorf("%s is not a whole file", name)
		}
		if !isDir {
			return f, nil
		}
		dir, entries = f.offset, cluster/32
	}
}

// lookUp returns the entry of a name in the directory at an offset.
func lookUp(r io.ReaderAt, dir, entries int64, name string) ([]byte, error) {
	b := make([]byte, entries*32)
	if n, err := r.ReadAt(b, dir); err != nil && n < 32 {
		return nil, err
	}
	for ; len(b) >= 32 && b[0] != 0; b = b[32:] {
		have := strings.TrimRight(string(b[:8]), " ")
		if ext := strings.TrimRight(string(b[8:11]), " "); ext != "" {
			have += "." + ext
		}
		if b[11]&0x08 == 0 && strings.EqualFold(have, name) { // Not a label, nor a part of a long name.
			return b[:32], nil
		}
	}
	return nil, os.ErrNotExist
}

func (f file) read(r io.ReaderAt) ([]byte, error) {
	b := make([]byte, f.length)
	_, err := r.ReadAt(b, f.offset)
	return b, err
}

// The files of a boot file system that say which root the kernel takes. The second one is systemd-boot's; a file system
// that gok makes for an old box has none.
const (
	kernelFile  = "/vmlinuz"
	commandFile = "/cmdline.txt"
	entryFile   = "/loader/entries/gokraz~1.con" // gokrazy.conf
)

var rootArgument = regexp.MustCompile(`root=[^ \n]+`)

// setRoot writes another root into the command lines of a boot file system, in place, as gokrazy does.
func setRoot(f *os.File, limit int64, root string) error {
	for _, name := range []string{commandFile, entryFile} {
		where, err := find(f, limit, name)
		if err != nil && name == entryFile {
			continue
		}
		if err != nil {
			return err
		}
		old, err := where.read(f)
		if err != nil {
			return err
		}
		text := rootArgument.ReplaceAllLiteral(old, []byte("root="+root))
		if text = bytes.TrimRight(text, " "); len(text) > len(old) {
			return fmt.Errorf("%s has no room for root=%s", name, root)
		}
		if !rootArgument.Match(text) {
			return fmt.Errorf("%s has no root=", name)
		}
		text = append(text, bytes.Repeat([]byte(" "), len(old)-len(text))...)
		if _, err := f.WriteAt(text, where.offset); err != nil {
			return err
		}
	}
	return nil
}

// The master boot record: boot loader, then the disk addresses of kernel and command line (gokrazy's mbr package).
const (
	recordSize    = 446
	kernelAddress = 432
	lineAddress   = 436
)

// point returns the record with the addresses of the files of a boot file system.
func point(record []byte, r io.ReaderAt, limit, start int64) ([]byte, error) {
	out := bytes.Clone(record[:recordSize])
	for at, name := range map[int]string{kernelAddress: kernelFile, lineAddress: commandFile} {
		where, err := find(r, limit, name)
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(start+where.offset/sector))
	}
	return out, nil
}
