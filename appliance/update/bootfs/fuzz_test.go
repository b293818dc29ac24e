package bootfs

import (
	"bytes"
	"testing"
)

// Nothing that somebody sends as a boot file system makes it panic, read without an end, or find a file beyond the end.
func FuzzFiles(f *testing.F) {
	image := make([]byte, 16*Sector)
	copy(image, "\xeb\x3c\x90gokrazy!\x00\x02\x04\x04\x00\x01\x10\x00\x10\x00\xf8\x01")
	image[510], image[511] = 0x55, 0xaa
	entry := image[5*Sector:]
	copy(entry, "VMLINUZ    ")
	entry[26], entry[28] = 2, 9
	copy(entry[32:], "LOADER     \x10")
	entry[32+26] = 3
	if got, err := Files(bytes.NewReader(image), int64(len(image))); err != nil || len(got) != 1 {
		f.Fatalf("the seed is no file system: %v, %v", got, err)
	}
	f.Add(image, "/vmlinuz")
	f.Add(image, EntryFile)
	f.Fuzz(func(t *testing.T, image []byte, name string) {
		limit := int64(len(image))
		within := func(name string, f File) {
			if f.Length < 0 || f.Length > 0 && (f.Offset < 0 || f.Offset+f.Length > limit) {
				t.Errorf("%s: %+v", name, f)
			}
		}
		all, err := Files(bytes.NewReader(image), limit)
		for name, f := range all {
			if err == nil {
				within(name, f)
			}
		}
		if len(name) > 0 {
			if f, err := Find(bytes.NewReader(image), limit, name); err == nil {
				within(name, f)
				if _, err := f.Read(bytes.NewReader(image)); err != nil {
					t.Errorf("%s: %+v, %v", name, f, err)
				}
			}
		}
		if is, err := Same(bytes.NewReader(image), bytes.NewReader(image), limit, limit); err == nil && !is {
			t.Error("it is not the same as itself")
		}
	})
}
