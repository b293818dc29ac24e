package instance

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// sector is the unit of a partition table, in bytes.
const sector = 512

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
func FindPartition(disk io.ReaderAt, number int) (Partition, error) {
	header := make([]byte, 92)
	if _, err := disk.ReadAt(header, sector); err != nil {
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
	at := int64(le.Uint64(header[72:]))*sector + int64(number-1)*int64(size)
	if _, err := disk.ReadAt(entry, at); err != nil {
		return Partition{}, fmt.Errorf("reading partition entry %d: %w", number, err)
	}
	first, last := int64(le.Uint64(entry[32:])), int64(le.Uint64(entry[40:]))
	if first <= 0 || last < first || last > 1<<48 {
		return Partition{}, fmt.Errorf("partition %d is empty or has no sensible place", number)
	}
	// The first three groups are little-endian (UEFI specification, appendix A).
	id := entry[16:32]
	uuid := fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(id), le.Uint16(id[4:]), le.Uint16(id[6:]), id[8:10], id[10:])
	return Partition{Offset: first * sector, Size: (last - first + 1) * sector, UUID: uuid}, nil
}

// RootSize is the number of bytes in use of the squashfs at p (its superblock's
// bytes_used, kernel fs/squashfs/squashfs_fs.h).
func RootSize(disk io.ReaderAt, p Partition) (int64, error) {
	super := make([]byte, 48)
	if _, err := disk.ReadAt(super, p.Offset); err != nil {
		return 0, err
	}
	if string(super[:4]) != "hsqs" {
		return 0, errors.New("the root partition holds no squashfs")
	}
	return int64(binary.LittleEndian.Uint64(super[40:])), nil
}

// BootSize is the number of bytes in use of the FAT16 file system at p.
func BootSize(disk io.ReaderAt, p Partition) (int64, error) {
	boot := make([]byte, sector)
	if _, err := disk.ReadAt(boot, p.Offset); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	bytesPerSector, perCluster := int64(le.Uint16(boot[11:])), int64(boot[13])
	reserved, length := int64(le.Uint16(boot[14:])), int64(le.Uint16(boot[22:]))
	if bytesPerSector != sector || length == 0 {
		return 0, errors.New("the boot partition holds no FAT16 file system")
	}
	table := make([]byte, length*bytesPerSector)
	if _, err := disk.ReadAt(table, p.Offset+reserved*bytesPerSector); err != nil {
		return 0, err
	}
	var used int64
	for i := 4; i+1 < len(table); i += 2 {
		if le.Uint16(table[i:]) != 0 {
			used++
		}
	}
	return used * perCluster * bytesPerSector, nil
}

// FormatPerm makes an empty ext4 file system in the /perm partition of the
// image at path. Its label is not RAMJET: that one marks content.
func FormatPerm(ctx context.Context, path string) error {
	mkfs, err := LookTool("mkfs.ext4", "e2fsprogs")
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	perm, err := FindPartition(f, Perm)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	cmd := exec.CommandContext(ctx, mkfs, "-q", "-F", "-L", "ramjet-perm",
		"-E", fmt.Sprintf("offset=%d", perm.Offset), path, fmt.Sprintf("%dk", perm.Size/1024))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// LookTool finds a program that may live in a directory for administrators,
// which is not on everybody's PATH.
func LookTool(name, debianPackage string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing; it is in the Debian package %s", name, debianPackage)
}
