package instance

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// table returns the start of a disk with a partition table of four entries,
// in which only the fourth is in use.
func table() []byte {
	le := binary.LittleEndian
	disk := make([]byte, 34*sector)
	header := disk[sector:]
	copy(header, "EFI PART")
	le.PutUint64(header[72:], 2)
	le.PutUint32(header[80:], 4)
	le.PutUint32(header[84:], 128)
	entry := disk[2*sector+3*128:]
	copy(entry[16:], []byte{0xc1, 0x4c, 0xc2, 0x60, 0xf9, 0xf3, 0x7a, 0x42, 0x81, 0x99, 0x92, 0xc4, 0x2b, 0x1a, 0, 4})
	le.PutUint64(entry[32:], 100)
	le.PutUint64(entry[40:], 131171)
	return disk
}

func TestFindPartition(t *testing.T) {
	for _, test := range []struct {
		name   string
		disk   []byte
		number int
		want   string
	}{
		{"nothing", nil, 1, "reading"},
		{"no table", make([]byte, 34*sector), 1, "no GUID"},
		{"number 0", table(), 0, "no entry 0"},
		{"number too large", table(), 5, "no entry 5"},
		{"an entry not in use", table(), 1, "empty"},
		{"cut short", table()[:2*sector], 4, "reading"},
	} {
		if _, err := FindPartition(bytes.NewReader(test.disk), test.number); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
	got, err := FindPartition(bytes.NewReader(table()), 4)
	want := Partition{Offset: 100 * sector, Size: 131072 * sector, UUID: "60c24cc1-f3f9-427a-8199-92c42b1a0004"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func FuzzFindPartition(f *testing.F) {
	f.Add(table(), 4)
	f.Add([]byte("EFI PART"), 1)
	f.Fuzz(func(t *testing.T, disk []byte, number int) {
		p, err := FindPartition(bytes.NewReader(disk), number)
		if err == nil && (p.Offset <= 0 || p.Size <= 0) {
			t.Errorf("partition %+v", p)
		}
		// These must not panic either, whatever they say.
		_, _ = RootSize(bytes.NewReader(disk), p)
		_, _ = BootSize(bytes.NewReader(disk), p)
	})
}

// TestFormatPerm formats a partition of an image for real, and asks debugfs
// what is there.
func TestFormatPerm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := FormatPerm(t.Context(), path); err == nil {
		t.Error("formatting an image that does not exist succeeds")
	}
	if err := os.WriteFile(path, table(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, (100+131072)*sector); err != nil {
		t.Fatal(err)
	}
	if err := FormatPerm(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	debugfs, err := LookTool("debugfs", "e2fsprogs")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), debugfs, "-R", "show_super_stats -h", path+"?offset=51200").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ramjet-perm") || !strings.Contains(string(out), "Block count:              65536\n") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLookTool(t *testing.T) {
	if _, err := LookTool("mkfs.nonsense", "nonsense-progs"); err == nil || !strings.Contains(err.Error(), "nonsense-progs") {
		t.Errorf("a tool that does not exist: %v, want the package's name", err)
	}
}
