package recorder

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var (
	bootA = [16]byte{0xa}
	bootB = [16]byte{0xb}
)

func mustOpen(t *testing.T, path string, boot [16]byte) (*ring, []block) {
	t.Helper()
	r, all, err := openRing(path, boot, 40)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r, all
}

func texts(all []block) (out []string) {
	for _, b := range all {
		out = append(out, fmt.Sprintf("%x %d %s", b.boot[0], b.seq, b.records))
	}
	return out
}

// The ring has the newest blocks in their order, over its end and over starts of the machine, and no more bytes than it may.
func TestRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "ring")
	r, all := mustOpen(t, path, bootA)
	if len(all) != 0 {
		t.Errorf("a new ring has %d blocks", len(all))
	}
	for i := range 50 {
		if err := r.append(fmt.Appendf(nil, "block %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.append(make([]byte, roomBytes+1)); err == nil {
		t.Error("a block that is too long was taken")
	}
	r, all = mustOpen(t, path, bootB)
	if got := texts(all); len(got) != 40 || got[0] != "a 10 block 10" || got[39] != "a 49 block 49" {
		t.Errorf("%q", got)
	}
	if err := r.append([]byte("next")); err != nil {
		t.Fatal(err)
	}
	_, all = mustOpen(t, path, bootB)
	if got := texts(all); len(got) != 40 || got[0] != "a 11 block 11" || got[39] != "b 50 next" {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 40*blockBytes {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

// A block that was cut, or that a bad card has changed, is missing, and nothing else is.
func TestRingTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring")
	r, _ := mustOpen(t, path, bootA)
	for i := range 10 {
		if err := r.append([]byte(strings.Repeat("x", 100*i))); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 9, 25, 33, 37, 40 + 399} { // a byte of each field of block 4, and its last one
		torn := slices.Clone(raw)
		torn[4*blockBytes+at] ^= 0x10
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		_, all := mustOpen(t, path, bootA)
		if len(all) != 9 || slices.ContainsFunc(all, func(b block) bool { return b.seq == 4 }) {
			t.Errorf("byte %d changed: %d blocks", at, len(all))
		}
	}
	if err := os.WriteFile(path, raw[:6*blockBytes+1000], 0o600); err != nil {
		t.Fatal(err)
	}
	r, all := mustOpen(t, path, bootA)
	if len(all) != 6 || r.next != 6 {
		t.Errorf("of a file that was cut there are %d blocks, the next one is %d", len(all), r.next)
	}
}

func TestParseBoot(t *testing.T) {
	for _, bad := range []string{"", "1234", "8d6f3e0e-0000-4000-8000-00000000000g", "8d6f3e0e-0000-4000-8000-00000000000012"} {
		if _, err := parseBoot(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	const good = "8d6f3e0e-1111-4222-8333-444455556666"
	if id, err := parseBoot(good + "\n"); err != nil || formatBoot(id) != good {
		t.Errorf("%s, %v", formatBoot(id), err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(block{bootA, 7, []byte("records\n")}.marshal())
	f.Add(make([]byte, blockBytes))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, ok := unmarshal(raw); ok && len(b.records) > roomBytes {
			t.Errorf("%d bytes of records", len(b.records))
		}
	})
}
