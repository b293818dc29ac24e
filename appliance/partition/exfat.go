package partition

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"
)

// Microsoft's exFAT specification, sections 3.1 (main boot sector) and 7.3 (volume label directory entry).
const (
	exfatName       = "EXFAT   "
	exfatMaxDir     = 64 * 1024 // bytes of the root directory that are read; the label is among its first entries
	exfatLabelEntry = 0x83
	exfatLabelMax   = 11 // UTF-16 units
)

// parseExFAT recognises exFAT and reads its label, only to be able to say that this stick is not supported. So it looks at
// the first cluster of the root directory and no further.
func parseExFAT(r io.ReaderAt) (Superblock, error) {
	b, err := readFull(r, 0, fatSector)
	if err != nil {
		return Superblock{}, err
	}
	le := binary.LittleEndian
	var (
		heap         = int64(le.Uint32(b[88:])) // ClusterHeapOffset, in sectors
		root         = int64(le.Uint32(b[96:])) // FirstClusterOfRootDirectory
		serial       = le.Uint32(b[100:])       // VolumeSerialNumber
		sectorShift  = b[108]                   // BytesPerSectorShift
		clusterShift = b[109]                   // SectorsPerClusterShift
	)
	if string(b[3:11]) != exfatName || string(b[fatSignedAt:]) != fatBootSigned ||
		sectorShift < 9 || sectorShift > 12 || clusterShift > 25-sectorShift || root < 2 {
		return Superblock{}, errUnknown
	}
	sb := Superblock{Type: ExFAT, UUID: fmt.Sprintf("%04X-%04X", serial>>16, serial&0xFFFF)}
	size := min(int64(1)<<(sectorShift+clusterShift), exfatMaxDir)
	dir, err := readFull(r, heap<<sectorShift+(root-2)<<(sectorShift+clusterShift), int(size))
	if err != nil {
		return sb, ignoreUnknown(err)
	}
	for ; len(dir) >= fatEntry && dir[0] != 0; dir = dir[fatEntry:] {
		if dir[0] != exfatLabelEntry {
			continue
		}
		units := make([]uint16, min(dir[1], exfatLabelMax))
		for i := range units {
			units[i] = le.Uint16(dir[2+2*i:])
		}
		sb.Label = string(utf16.Decode(units))
		break
	}
	return sb, nil
}
