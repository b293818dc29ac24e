package instance

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ramjet/appliance/update/disk"
)

func FuzzSizes(f *testing.F) {
	f.Add([]byte("hsqs"), int64(0))
	f.Fuzz(func(_ *testing.T, image []byte, at int64) {
		// These must not panic, whatever they say.
		_, _ = RootSize(bytes.NewReader(image), disk.Partition{Offset: at})
		_, _ = BootSize(bytes.NewReader(image), disk.Partition{Offset: at})
	})
}

// TestFormatPerm formats a partition of an image for real, and asks debugfs
// what is there.
func TestFormatPerm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := FormatPerm(t.Context(), path); err == nil {
		t.Error("formatting an image that does not exist succeeds")
	}
	// A partition table of four entries, of which only the fourth is in use.
	table := make([]byte, 34*disk.Sector)
	header, entry := table[disk.Sector:], table[2*disk.Sector+3*128:]
	copy(header, "EFI PART")
	le := binary.LittleEndian
	le.PutUint64(header[72:], 2)
	le.PutUint32(header[80:], 4)
	le.PutUint32(header[84:], 128)
	le.PutUint64(entry[32:], 100)
	le.PutUint64(entry[40:], 131171)
	if err := os.WriteFile(path, table, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, (100+131072)*disk.Sector); err != nil {
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
