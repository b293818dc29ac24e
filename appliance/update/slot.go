package update

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"ramjet/appliance/update/bootfs"
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
const highSlot = 65024

// moved returns the first sector of the same file system with its table at sector to.
func moved(first []byte, to uint16) ([]byte, error) {
	l, err := bootfs.ReadLayout(first)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(first[:bootfs.Sector])
	binary.LittleEndian.PutUint16(out[14:], to)
	binary.LittleEndian.PutUint16(out[19:], 0)
	binary.LittleEndian.PutUint32(out[32:], l.Total-uint32(l.Reserved)+uint32(to))
	return out, nil
}

// errNoRoom says that the boot partition is too small for two.
var errNoRoom = errors.New("the boot partition has no room for two kernels")

// place says where a file system of that layout goes while the one of the other layout is in use.
func place(image, inUse bootfs.Layout, partition int64) (uint16, error) {
	length := int64(image.Total) - int64(image.Reserved)
	low, high := int64(4), int64(highSlot)
	switch {
	case inUse.Reserved == highSlot && low+length <= high:
		return uint16(low), nil
	case inUse.Reserved < highSlot && int64(inUse.Total) <= high && (high+length)*bootfs.Sector <= partition:
		return highSlot, nil
	}
	return 0, errNoRoom
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
	for at, name := range map[int]string{kernelAddress: bootfs.KernelFile, lineAddress: bootfs.CommandFile} {
		where, err := bootfs.Find(r, limit, name)
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(start+where.Offset/bootfs.Sector))
	}
	return out, nil
}
