package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const uuid = "60c24cc1-f3f9-427a-8199-92c42b1a0001"

// machine makes a tree like /sys and one like /dev, with two disks; the second one is the box's.
func machine(t *testing.T, disk, infix string, roots int) (sys, dev string) {
	t.Helper()
	sys, dev = t.TempDir(), t.TempDir()
	add := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := table(1)
	copy(start[440:], []byte{0x0c, 0xc4, 0x18, 0x2e})
	add(filepath.Join(dev, disk), string(start))
	add(filepath.Join(dev, "sda"), string(table(2)))
	add(filepath.Join(sys, "devices/sda/size"), "1\n")
	for n := 1; n <= 1+roots; n++ {
		of := filepath.Join(sys, "devices", disk, fmt.Sprint(disk, infix, n))
		add(filepath.Join(of, "partition"), fmt.Sprintln(n))
		add(filepath.Join(of, "start"), fmt.Sprintln(8192*n))
	}
	if err := os.Mkdir(filepath.Join(sys, "block"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone", "sda", disk} {
		if err := os.Symlink("../devices/"+name, filepath.Join(sys, "block", name)); err != nil {
			t.Fatal(err)
		}
	}
	return sys, dev
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name, line  string
		disk, infix string
		active      int
		other       string
	}{
		{"by offset", "quiet root=PARTUUID=" + uuid + "/PARTNROFF=2 ro\n", "vda", "", 3, "PARTUUID=" + uuid + "/PARTNROFF=1"},
		{"by number", "root=PARTUUID=2e18c40c-02 ro", "nvme0n1", "p", 2, "PARTUUID=2e18c40c-03"},
		{"by device", "root=/dev/mmcblk0p3", "mmcblk0", "p", 3, "/dev/mmcblk0p2"},
		{"by device, of a disk", "root=/dev/vda2", "vda", "", 2, "/dev/vda3"},
		{"on trial", "root=PARTUUID=" + uuid + "/PARTNROFF=1 " + Once + "3", "mmcblk0", "p", 3, "PARTUUID=" + uuid + "/PARTNROFF=1"},
	} {
		sys, dev := machine(t, test.disk, test.infix, 3)
		d, err := Find(test.line, sys, dev)
		part := filepath.Join(dev, test.disk) + test.infix
		if err != nil || d.Device != filepath.Join(dev, test.disk) || d.Boot != part+"1" || d.BootStart != 8192 ||
			d.Active != test.active || d.Roots[d.Active] != fmt.Sprint(part, test.active) || d.Names[d.Other()] != test.other {
			t.Errorf("%s: %+v, %v", test.name, d, err)
		}
	}
	for _, test := range []struct {
		name, line string
		roots      int
		want       string
	}{
		{"no root", "quiet", 3, "no root="},
		{"a root that is none of gokrazy's", "root=/dev/vda1", 3, "no root="},
		{"another disk", "root=PARTUUID=11111111-f3f9-427a-8199-92c42b1a0001/PARTNROFF=1", 3, "no disk"},
		{"another signature", "root=PARTUUID=2e18c40d-02", 3, "no disk"},
		{"another device", "root=/dev/vdb2", 3, "no disk"},
		{"one root", "root=PARTUUID=" + uuid + "/PARTNROFF=1", 1, "partitions of a gokrazy box"},
	} {
		sys, dev := machine(t, "vda", "", test.roots)
		if d, err := Find(test.line, sys, dev); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v", test.name, d, err)
		}
	}
}
