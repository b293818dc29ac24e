package instance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"ramjet/appliance/update/disk"
)

// RootSize is the number of bytes in use of the squashfs at p (its superblock's
// bytes_used, kernel fs/squashfs/squashfs_fs.h).
func RootSize(r io.ReaderAt, p disk.Partition) (int64, error) {
	super := make([]byte, 48)
	if _, err := r.ReadAt(super, p.Offset); err != nil {
		return 0, err
	}
	if string(super[:4]) != "hsqs" {
		return 0, errors.New("the root partition holds no squashfs")
	}
	return int64(binary.LittleEndian.Uint64(super[40:])), nil
}

// BootSize is the number of bytes in use of the FAT16 file system at p.
func BootSize(r io.ReaderAt, p disk.Partition) (int64, error) {
	boot := make([]byte, disk.Sector)
	if _, err := r.ReadAt(boot, p.Offset); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	bytesPerSector, perCluster := int64(le.Uint16(boot[11:])), int64(boot[13])
	reserved, length := int64(le.Uint16(boot[14:])), int64(le.Uint16(boot[22:]))
	if bytesPerSector != disk.Sector || length == 0 {
		return 0, errors.New("the boot partition holds no FAT16 file system")
	}
	table := make([]byte, length*bytesPerSector)
	if _, err := r.ReadAt(table, p.Offset+reserved*bytesPerSector); err != nil {
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
	perm, err := disk.FindPartition(f, disk.Perm)
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
