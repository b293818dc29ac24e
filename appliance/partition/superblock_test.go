package partition

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const uuid = "01234567-89ab-cdef-0123-456789abcdef"

func TestReadSuperblock(t *testing.T) {
	ext4 := readImage(t, makeImage(t, 8<<20, "mkfs.ext4", "-q", "-L", "RAMJET", "-U", uuid), 4096)
	ext2 := readImage(t, makeImage(t, 8<<20, "mke2fs", "-q", "-t", "ext2", "-L", "sixteen letters!", "-U", uuid), 4096)
	journal := readImage(t, makeImage(t, 8<<20, "mke2fs", "-q", "-O", "journal_dev", "-L", "RAMJET", "-U", uuid), 4096)
	fat := func(size int64, args ...string) []byte {
		return readImage(t, makeImage(t, size, append([]string{"mkfs.vfat", "-i", "1234abcd"}, args...)...), 4<<20)
	}
	fat12 := fat(1440<<10, "-F", "12", "-n", "RAMJET")
	fat16 := fat(16<<20, "-F", "16", "-n", "RAMJET")
	fat32 := fat(40<<20, "-F", "32", "-s", "1", "-n", "RAMJET")
	named := func(b []byte) int { return bytes.LastIndex(b, []byte("RAMJET     \x08")) } // the entry in the root directory

	for _, test := range []struct {
		name string
		data []byte
		want Superblock // the zero value: not recognised
	}{
		{"nothing", nil, Superblock{}},
		{"one byte short of a superblock", ext4[:ext4Start+ext4Size-1], Superblock{}},
		{"zeros", make([]byte, 1<<20), Superblock{}},
		{"a partition table", partitionTable(), Superblock{}},
		{"ext4 journal of another file system", journal, Superblock{}},
		{"ext4 with impossible blocks", edited(ext4, ext4Start+ext4LogBlock, 7), Superblock{}},
		{"ext4 without blocks", edited(ext4, ext4Start+ext4BlocksCount, 0, 0, 0, 0), Superblock{}},
		{"FAT with sectors of 511 bytes", edited(fat16, 11, 0xFF, 1), Superblock{}},
		{"FAT with clusters of 3 sectors", edited(fat16, 13, 3), Superblock{}},
		{"FAT without a table", edited(fat16, 16, 0), Superblock{}},
		{"FAT with a wrong medium", edited(fat16, 21, 0xF1), Superblock{}},
		{"FAT not signed", edited(fat16, fatSignedAt, 0, 0), Superblock{}},
		{"exFAT with sectors of 256 bytes", edited(exfatImage("RAMJET"), 108, 8), Superblock{}},

		{"ext4", ext4, Superblock{Ext4, "RAMJET", uuid}},
		{"ext2 with the longest label", ext2, Superblock{Ext4, "sixteen letters!", uuid}},
		{"ext4 over an older FAT", append(bytes.Clone(fat16[:1024]), ext4[1024:]...), Superblock{Ext4, "RAMJET", uuid}},
		{"FAT12", fat12, Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT16", fat16, Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT32", fat32, Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT without a label", fat(16<<20, "-F", "16"), Superblock{VFAT, "", "1234-ABCD"}},
		{"FAT, the boot sector alone has a label", edited(fat16, named(fat16), 0), Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT, the entry was deleted", edited(fat16, named(fat16), fatDeleted), Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT, the directory wins", edited(fat16, named(fat16), 'N', 'E', 'W', 'E', 'R', '2'), Superblock{VFAT, "NEWER2", "1234-ABCD"}},
		{"FAT32, the directory wins", edited(fat32, named(fat32), 'N', 'E', 'W', 'E', 'R', '2'), Superblock{VFAT, "NEWER2", "1234-ABCD"}},
		{"FAT32, a long name is no label", edited(fat32, named(fat32)+11, fatAttrLong), Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT32, cut short before the directory", fat32[:512], Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT32, the label is in the second cluster", secondCluster(fat32, named(fat32)), Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"FAT32, a directory that bites its tail", loopedDirectory(fat32, named(fat32)), Superblock{VFAT, "RAMJET", "1234-ABCD"}},
		{"exFAT", exfatImage("Ramjet ü"), Superblock{ExFAT, "Ramjet ü", "1234-ABCD"}},
		{"exFAT, cut short before the directory", exfatImage("RAMJET")[:4096], Superblock{ExFAT, "", "1234-ABCD"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readSuperblock(bytes.NewReader(test.data))
			if test.want == (Superblock{}) {
				if !errors.Is(err, errUnknown) {
					t.Fatalf("got %+v, %v; want %v", got, err, errUnknown)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Fatalf("error %v, difference (-want +got):\n%s", err, diff)
			}
		})
	}
}

// partitionTable is the first sector of a disk as parted makes it: signed like FAT, and with boot code where FAT has its
// numbers.
func partitionTable() []byte {
	b := bytes.Repeat([]byte{0xFA, 0xB8, 0x00, 0x10}, 16384)
	copy(b[446:], []byte{0x80, 0, 1, 0, 0x83, 0xFE, 0xFF, 0xFF, 0, 8, 0, 0, 0, 0, 1, 0})
	copy(b[fatSignedAt:], fatBootSigned)
	return b
}

// secondCluster moves the label entry of a FAT32 of one sector per cluster into another cluster, behind one full of files,
// and clears the label in the boot sector.
func secondCluster(b []byte, at int) []byte {
	entry := bytes.Clone(b[at : at+fatEntry])
	b = edited(b, 71, []byte(fatNoName)...)
	for i := range fatSector / fatEntry {
		copy(b[at+i*fatEntry:], "FILE    TXT\x20")
	}
	copy(b[at+3*fatSector:], entry) // cluster 5
	table := int(b[14]) * fatSector
	copy(b[table+2*4:], []byte{5, 0, 0, 0xF0}) // cluster 2 goes on in 5; the top bits are not part of the number
	copy(b[table+5*4:], []byte{0xFF, 0xFF, 0xFF, 0x0F})
	return b
}

// loopedDirectory makes the root directory of a FAT32 one cluster full of files that is followed by itself.
func loopedDirectory(b []byte, at int) []byte {
	b = bytes.Clone(b)
	for i := range fatSector / fatEntry {
		copy(b[at+i*fatEntry:], "FILE    TXT\x20")
	}
	copy(b[int(b[14])*fatSector+2*4:], []byte{2, 0, 0, 0})
	return b
}

// brokenDisk fails every read from an offset on.
type brokenDisk struct {
	data []byte
	from int64
}

var errDisk = errors.New("input/output error")

func (d brokenDisk) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > d.from {
		return 0, errDisk
	}
	return bytes.NewReader(d.data).ReadAt(p, off)
}

func TestReadSuperblockOfBrokenDisk(t *testing.T) {
	fat16 := readImage(t, makeImage(t, 16<<20, "mkfs.vfat", "-F", "16", "-n", "RAMJET"), 4<<20)
	for _, from := range []int64{0, 1500, 4096} {
		if sb, err := readSuperblock(brokenDisk{fat16, from}); !errors.Is(err, errDisk) {
			t.Errorf("broken from %d on: %+v, %v; want the error of the disk, so that it is read again", from, sb, err)
		}
	}
}

func TestLabelled(t *testing.T) {
	for _, test := range []struct {
		kind  Type
		label string
		want  bool
	}{
		{Ext4, "", false},
		{Ext4, "ramjet", false},
		{Ext4, "RAMJET ", false},
		{Ext4, "RAMJET2", false},
		{VFAT, "", false},
		{VFAT, "RAMJET2", false},
		{VFAT, " RAMJET", false},
		{Ext4, "RAMJET", true},
		{VFAT, "RAMJET", true},
		{VFAT, "Ramjet  ", true},
		{ExFAT, "ramjet", true},
	} {
		if got := (Superblock{Type: test.kind, Label: test.label}).labelled("RAMJET"); got != test.want {
			t.Errorf("%s %q: %v", test.kind, test.label, got)
		}
	}
}

// FuzzReadSuperblock: whatever is on a disk, the answer comes, and within bounds.
func FuzzReadSuperblock(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(partitionTable()[:2048])
	f.Add(exfatImage("RAMJET"))
	f.Add(readImage(f, makeImage(f, 8<<20, "mkfs.ext4", "-q", "-L", "RAMJET"), 2048))
	f.Add(readImage(f, makeImage(f, 1440<<10, "mkfs.vfat", "-F", "12", "-n", "RAMJET"), 12<<10))
	fat32 := readImage(f, makeImage(f, 40<<20, "mkfs.vfat", "-F", "32", "-s", "1", "-R", "2", "-f", "1", "-n", "RAMJET"), 1<<20)
	f.Add(fat32[:4096])
	uuids := map[Type]*regexp.Regexp{
		Ext4:  regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
		VFAT:  regexp.MustCompile(`^([0-9A-F]{4}-[0-9A-F]{4})?$`),
		ExFAT: regexp.MustCompile(`^[0-9A-F]{4}-[0-9A-F]{4}$`),
	}
	longest := map[Type]int{Ext4: 16, VFAT: 11, ExFAT: 33}
	f.Fuzz(func(t *testing.T, disk []byte) {
		r := &countingReader{r: bytes.NewReader(disk)}
		sb, err := readSuperblock(r)
		if r.n > 3<<20 {
			t.Errorf("read %d bytes of a disk of %d", r.n, len(disk))
		}
		if err != nil {
			if !errors.Is(err, errUnknown) {
				t.Errorf("error %v without a failing disk", err)
			}
			return
		}
		if uuids[sb.Type] == nil || !uuids[sb.Type].MatchString(sb.UUID) || len(sb.Label) > longest[sb.Type] ||
			sb.Type == Ext4 && strings.Contains(sb.Label, "\x00") {
			t.Errorf("impossible superblock %+v", sb)
		}
	})
}

type countingReader struct {
	r io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.n += len(p)
	return c.r.ReadAt(p, off)
}
