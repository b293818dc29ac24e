package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unicode/utf16"
)

// makeImage makes a sparse file of the size and a file system on it with the real maker: mkfs.ext4 or mkfs.vfat, whose last
// argument the file is.
func makeImage(t testing.TB, size int64, maker ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	command(t, append(maker, file)...)
	return file
}

// command runs a program of the system, also from the directories that ordinary users do not have in their PATH.
func command(t testing.TB, args ...string) string {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "MKE2FS_DEVICE_SECTSIZE=512")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is missing: these tests need e2fsprogs, dosfstools and util-linux", args[0])
	}
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(bytes.TrimSpace(out))
}

// readImage returns the first bytes of an image: all that the parsers look at.
func readImage(t testing.TB, file string, n int64) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exfatImage is a minimal exFAT by the specification: boot sector, and the root directory in cluster 2.
func exfatImage(label string) []byte {
	b := make([]byte, 8<<10)
	copy(b[3:], exfatName)
	le := binary.LittleEndian
	le.PutUint32(b[88:], 8)           // the cluster heap, in sectors
	le.PutUint32(b[96:], 2)           // the root directory
	le.PutUint32(b[100:], 0x1234ABCD) // the serial number
	b[108], b[109] = 9, 3             // sectors of 512 bytes, clusters of 4096
	copy(b[510:], fatBootSigned)
	dir := b[8*512:]
	dir[0] = 0x81 // the allocation bitmap, as usual before the label
	units := utf16.Encode([]rune(label))
	dir[32], dir[33] = exfatLabelEntry, byte(len(units))
	for i, u := range units {
		le.PutUint16(dir[34+2*i:], u)
	}
	return b
}

// edited returns a copy with bytes replaced at an offset.
func edited(b []byte, at int, with ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], with)
	return b
}
