package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Sector is the unit of a partition table, in bytes.
const Sector = 512

// The partitions of a gokrazy disk, by number.
const (
	Boot  = 1 // FAT: kernel, command line, boot loader
	RootA = 2 // squashfs; a fresh image boots from it
	RootB = 3 // squashfs; empty until the first update
	Perm  = 4 // ext4: what the box keeps
)

// Partition is a byte range of a disk image.
type Partition struct {
	// Offset and Size in bytes.
	Offset, Size int64
	// UUID is the partition's own, as in PARTUUID= on a kernel command line.
	UUID string
}

// FindPartition reads the position of partition number (1 is the first) from
// the GUID partition table of a disk (UEFI specification, section 5.3).
func FindPartition(r io.ReaderAt, number int) (Partition, error) {
	header := make([]byte, 92)
	if _, err := r.ReadAt(header, Sector); err != nil {
		return Partition{}, fmt.Errorf("reading the partition table: %w", err)
	}
	if !bytes.HasPrefix(header, []byte("EFI PART")) {
		return Partition{}, errors.New("no GUID partition table")
	}
	le := binary.LittleEndian
	count, size := le.Uint32(header[80:]), le.Uint32(header[84:])
	if number < 1 || uint32(number) > count || size < 48 || size > 4096 {
		return Partition{}, fmt.Errorf("the partition table has no entry %d", number)
	}
	entry := make([]byte, 48)
	at := int64(le.Uint64(header[72:]))*Sector + int64(number-1)*int64(size)
	if _, err := r.ReadAt(entry, at); err != nil {
		return Partition{}, fmt.Errorf("reading partition entry %d: %w", number, err)
	}
	first, last := int64(le.Uint64(entry[32:])), int64(le.Uint64(entry[40:]))
	if first <= 0 || last < first || last > 1<<48 {
		return Partition{}, fmt.Errorf("partition %d is empty or has no sensible place", number)
	}
	// The first three groups are little-endian (UEFI specification, appendix A).
	id := entry[16:32]
	uuid := fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(id), le.Uint16(id[4:]), le.Uint16(id[6:]), id[8:10], id[10:])
	return Partition{Offset: first * Sector, Size: (last - first + 1) * Sector, UUID: uuid}, nil
}
