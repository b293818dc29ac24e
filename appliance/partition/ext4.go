package partition

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// The fields of struct ext4_super_block (Linux fs/ext4/ext4.h), as offsets into the superblock, which lies at byte 1024.
const (
	ext4Start       = 1024
	ext4BlocksCount = 0x04
	ext4LogBlock    = 0x18
	ext4Magic       = 0x38
	ext4Incompat    = 0x60
	ext4UUID        = 0x68
	ext4Label       = 0x78
	ext4LabelLen    = 16
	ext4Size        = ext4Label + ext4LabelLen // all that we read

	ext4MagicValue = 0xEF53
	ext4JournalDev = 0x0008 // EXT4_FEATURE_INCOMPAT_JOURNAL_DEV: a journal of another file system, not to be mounted
	ext4MaxLog     = 6      // blocks of 64 KiB, the most that the driver knows
)

// parseExt4 reads an ext2, ext3 or ext4 superblock.
func parseExt4(r io.ReaderAt) (Superblock, error) {
	b, err := readFull(r, ext4Start, ext4Size)
	if err != nil {
		return Superblock{}, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[ext4Magic:]) != ext4MagicValue || le.Uint32(b[ext4LogBlock:]) > ext4MaxLog ||
		le.Uint32(b[ext4BlocksCount:]) == 0 || le.Uint32(b[ext4Incompat:])&ext4JournalDev != 0 {
		return Superblock{}, errUnknown
	}
	u := b[ext4UUID : ext4UUID+16]
	label, _, _ := strings.Cut(string(b[ext4Label:ext4Label+ext4LabelLen]), "\x00")
	return Superblock{
		Type:  Ext4,
		Label: label,
		UUID:  fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]),
	}, nil
}
