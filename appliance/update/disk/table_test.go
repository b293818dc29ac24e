package disk

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// table returns the start of a disk with a partition table of four entries, in which only one is in use.
func table(number int) []byte {
	le := binary.LittleEndian
	start := make([]byte, 34*Sector)
	header := start[Sector:]
	copy(header, "EFI PART")
	le.PutUint64(header[72:], 2)
	le.PutUint32(header[80:], 4)
	le.PutUint32(header[84:], 128)
	entry := start[2*Sector+(number-1)*128:]
	copy(entry[16:], []byte{0xc1, 0x4c, 0xc2, 0x60, 0xf9, 0xf3, 0x7a, 0x42, 0x81, 0x99, 0x92, 0xc4, 0x2b, 0x1a, 0, byte(number)})
	le.PutUint64(entry[32:], 100)
	le.PutUint64(entry[40:], 131171)
	return start
}

func TestFindPartition(t *testing.T) {
	for _, test := range []struct {
		name   string
		disk   []byte
		number int
		want   string
	}{
		{"nothing", nil, 1, "reading"},
		{"no table", make([]byte, 34*Sector), 1, "no GUID"},
		{"number 0", table(4), 0, "no entry 0"},
		{"number too large", table(4), 5, "no entry 5"},
		{"an entry not in use", table(4), 1, "empty"},
		{"cut short", table(4)[:2*Sector], 4, "reading"},
	} {
		if _, err := FindPartition(bytes.NewReader(test.disk), test.number); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	got, err := FindPartition(bytes.NewReader(table(4)), 4)
	want := Partition{Offset: 100 * Sector, Size: 131072 * Sector, UUID: "60c24cc1-f3f9-427a-8199-92c42b1a0004"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func FuzzFindPartition(f *testing.F) {
	f.Add(table(4), 4)
	f.Add([]byte("EFI PART"), 1)
	f.Fuzz(func(t *testing.T, disk []byte, number int) {
		p, err := FindPartition(bytes.NewReader(disk), number)
		if err == nil && (p.Offset <= 0 || p.Size <= 0) {
			t.Errorf("partition %+v", p)
		}
	})
}
