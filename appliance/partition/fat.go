package partition

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"
)

const (
	fatSector      = 512 // the boot sector, whatever the sector size of the file system
	fatSignedAt    = fatSector - 2
	fatBootSigned  = "\x55\xaa"
	fat16Extension = 36   // offset of the extension of the boot sector, FAT12 and FAT16
	fat32Extension = 64   // the same for FAT32
	fatSigExtended = 0x29 // the extension holds serial number and label
	fatSigSerial   = 0x28 // it holds the serial number alone

	fatNoName   = "NO NAME    " // what makers of file systems write for "no label"
	fatLabelLen = len(fatNoName)

	fatEntry      = 32         // bytes of a directory entry
	fatMaxRoot    = 65536 * 32 // bytes: no FAT directory is larger, so a looping chain ends here
	fatReadAtOnce = 128 * 1024 // bytes of a directory read in one go
	fatEndOfDir   = 0x00       // first byte of the entry behind the last
	fatDeleted    = 0xE5       // first byte of a deleted entry
	fatKanji      = 0x05       // first byte of an entry whose name begins with 0xE5
	fatAttrVolume = 0x08       // ATTR_VOLUME_ID
	fatAttrDir    = 0x10       // ATTR_DIRECTORY
	fatAttrLong   = 0x0F       // ATTR_LONG_NAME: a piece of a long file name

	fatMinCluster  = uint32(2)  // clusters are numbered from 2
	fat32Mask      = 0x0FFFFFFF // the four top bits are not part of a cluster number
	fat32EndMarker = 0x0FFFFFF8 // a number from here on ends a chain
)

// fat is the geometry of a FAT volume, from its boot sector ("BIOS parameter block").
// The names are those of Microsoft's FAT specification, fatgen103, section 3.
type fat struct {
	r         io.ReaderAt
	cluster   int64  // bytes per cluster
	fatStart  int64  // byte offset of the first allocation table
	rootStart int64  // byte offset of the root directory (FAT12, FAT16) or of cluster 2 (FAT32)
	rootSize  int64  // bytes of a root directory of fixed size; 0 for FAT32
	rootFirst uint32 // first cluster of the root directory, FAT32 alone
}

// parseFAT reads a FAT12, FAT16 or FAT32 boot sector and the label, which is kept in two places. The entry in the root
// directory wins over the boot sector, since systems that rename a volume change that one and may forget the other.
func parseFAT(r io.ReaderAt) (Superblock, error) {
	b, err := readFull(r, 0, fatSector)
	if err != nil {
		return Superblock{}, err
	}
	f, ext, err := parseBPB(r, b)
	if err != nil {
		return Superblock{}, err
	}
	sb := Superblock{Type: VFAT}
	if sig := b[ext+2]; sig == fatSigExtended || sig == fatSigSerial {
		serial := binary.LittleEndian.Uint32(b[ext+3:])
		sb.UUID = fmt.Sprintf("%04X-%04X", serial>>16, serial&0xFFFF)
		if label := string(b[ext+7 : ext+7+fatLabelLen]); sig == fatSigExtended && label != fatNoName {
			sb.Label = strings.TrimRight(label, " \x00")
		}
	}
	label, found, err := f.rootLabel()
	if err != nil {
		return Superblock{}, err
	}
	if found {
		sb.Label = label
	}
	return sb, nil
}

// parseBPB checks the boot sector as strictly as the kernel's driver does, and a little more, since the first sector of a
// disk with a partition table looks much the same. It also returns the offset of the sector's extension.
func parseBPB(r io.ReaderAt, b []byte) (f fat, ext int, err error) {
	le := binary.LittleEndian
	var (
		sector   = int64(le.Uint16(b[11:])) // BPB_BytsPerSec
		perClus  = int64(b[13])             // BPB_SecPerClus
		reserved = int64(le.Uint16(b[14:])) // BPB_RsvdSecCnt
		fats     = int64(b[16])             // BPB_NumFATs
		rootEnt  = int64(le.Uint16(b[17:])) // BPB_RootEntCnt
		total    = int64(le.Uint16(b[19:])) // BPB_TotSec16
		media    = b[21]                    // BPB_Media
		size     = int64(le.Uint16(b[22:])) // BPB_FATSz16
	)
	if total == 0 {
		total = int64(le.Uint32(b[32:])) // BPB_TotSec32
	}
	ext = fat16Extension
	if size == 0 {
		ext = fat32Extension
		size = int64(le.Uint32(b[36:])) // BPB_FATSz32
		f.rootFirst = le.Uint32(b[44:]) // BPB_RootClus
	}
	if string(b[fatSignedAt:]) != fatBootSigned || sector < 512 || sector > 4096 || !powerOfTwo(sector) ||
		!powerOfTwo(perClus) || reserved == 0 || fats == 0 || size == 0 || total == 0 || (media != 0xF0 && media < 0xF8) {
		return fat{}, 0, errUnknown
	}
	f.r, f.cluster = r, sector*perClus
	f.fatStart = reserved * sector
	f.rootStart = f.fatStart + fats*size*sector
	if ext == fat16Extension {
		f.rootSize = rootEnt * fatEntry
	}
	return f, ext, nil
}

func powerOfTwo(n int64) bool { return n > 0 && bits.OnesCount64(uint64(n)) == 1 }

// rootLabel looks for the volume entry of the root directory. A volume whose directory cannot be followed (it is cut
// short, or its chain is broken) has none; only a read that fails is an error.
func (f fat) rootLabel() (label string, found bool, err error) {
	if f.rootSize > 0 {
		label, found, _, err = f.scan(f.rootStart, f.rootSize)
		return label, found, err
	}
	cluster := f.rootFirst & fat32Mask
	for left := int64(fatMaxRoot); left > 0 && cluster >= fatMinCluster && cluster < fat32EndMarker; left -= f.cluster {
		at := f.rootStart + int64(cluster-fatMinCluster)*f.cluster
		label, found, end, err := f.scan(at, f.cluster)
		if found || end || err != nil {
			return label, found, err
		}
		next, err := readFull(f.r, f.fatStart+int64(cluster)*4, 4)
		if err != nil {
			return "", false, ignoreUnknown(err)
		}
		cluster = binary.LittleEndian.Uint32(next) & fat32Mask
	}
	return "", false, nil
}

// scan looks through size bytes of directory at byte off. End says that the directory ends there.
func (f fat) scan(off, size int64) (label string, found, end bool, err error) {
	for size > 0 {
		n := min(size, fatReadAtOnce)
		b, err := readFull(f.r, off, int(n))
		if err != nil {
			return "", false, true, ignoreUnknown(err)
		}
		for ; len(b) >= fatEntry; b = b[fatEntry:] {
			attr := b[fatLabelLen]
			switch {
			case b[0] == fatEndOfDir:
				return "", false, true, nil
			case b[0] == fatDeleted, attr&fatAttrLong == fatAttrLong, attr&(fatAttrVolume|fatAttrDir) != fatAttrVolume:
				continue
			}
			name := bytes.Clone(b[:fatLabelLen])
			if name[0] == fatKanji {
				name[0] = fatDeleted
			}
			return strings.TrimRight(string(name), " "), true, false, nil
		}
		off, size = off+n, size-n
	}
	return "", false, false, nil
}

// ignoreUnknown turns "the device ends here" into no error: the boot sector was good enough to know the file system.
func ignoreUnknown(err error) error {
	if err == errUnknown {
		return nil
	}
	return err
}
