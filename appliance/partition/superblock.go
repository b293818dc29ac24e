package partition

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Type names a kind of file system as mount(2) does.
type Type string

// The types that are recognised. exFAT is only recognised, so that the box can say why it does not take the stick.
const (
	Ext4  Type = "ext4" // ext2 and ext3 as well: the same superblock, the same driver
	VFAT  Type = "vfat" // FAT12, FAT16 and FAT32
	ExFAT Type = "exfat"
)

// Superblock is what a file system says about itself. It is hostile input: a label may hold any bytes.
type Superblock struct {
	Type  Type
	Label string // without the padding; "" if there is none
	UUID  string // as blkid prints it: 8-4-4-4-12 hex digits (ext4) or 4-4 (FAT, exFAT)
}

// errUnknown means that there is no file system that we know: an empty disk, a partition table, another kind.
var errUnknown = errors.New("no ext4, FAT or exFAT file system")

// readSuperblock finds out what is on a block device. The error wraps errUnknown if that is nothing for us, else it is the
// error of a read.
//
// ext4 is looked for first: makers of FAT overwrite the place of an older ext4 superblock, but not every maker of ext4
// clears an older FAT boot sector, which lies in the 1024 bytes that ext4 leaves alone.
func readSuperblock(r io.ReaderAt) (Superblock, error) {
	for _, parse := range []func(io.ReaderAt) (Superblock, error){parseExt4, parseExFAT, parseFAT} {
		sb, err := parse(r)
		if errors.Is(err, errUnknown) {
			continue
		}
		return sb, err
	}
	return Superblock{}, errUnknown
}

// labelled reports whether the file system carries the label. ext4 labels are compared exactly. FAT keeps labels in upper
// case, padded with spaces, and exFAT labels are typed by the same people, so those are compared without regard to either.
func (sb Superblock) labelled(label string) bool {
	if sb.Type == Ext4 {
		return sb.Label == label
	}
	return strings.EqualFold(strings.TrimRight(sb.Label, " "), strings.TrimRight(label, " "))
}

// readFull reads n bytes at off. A device that ends earlier holds no file system there, so that is errUnknown.
func readFull(r io.ReaderAt, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, off)
	switch {
	case got == n:
		return b, nil
	case err == nil || errors.Is(err, io.EOF):
		return nil, errUnknown
	default:
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, off, err)
	}
}
