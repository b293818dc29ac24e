package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const uuid = "60c24cc1-f3f9-427a-8199-92c42b1a0001"

// sys makes a tree like /sys, with two disks; the second one is the box's.
func sys(t *testing.T, disk, infix string, roots int) string {
	t.Helper()
	dir := t.TempDir()
	add := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(path string) {
		t.Helper()
		at := filepath.Join(dir, "class/block", filepath.Base(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(dir, path), at); err != nil {
			t.Fatal(err)
		}
	}
	add("devices/sda/sda1/uevent", "DEVNAME=sda1\nPARTUUID=other\n")
	link("devices/sda/sda1")
	for n := 1; n <= 1+roots; n++ {
		name := fmt.Sprintf("devices/%s/%s%s%d", disk, disk, infix, n)
		id := fmt.Sprintf("60c24cc1-f3f9-427a-8199-92c42b1a%04d", n)
		if infix == "" {
			id = strings.ToUpper(id)
		}
		if infix == "p" {
			id = fmt.Sprintf("2e18c40c-%02d", n)
		}
		add(name+"/uevent", fmt.Sprintf("DEVNAME=%s\nPARTN=%d\nPARTUUID=%s\n", filepath.Base(name), n, id))
		add(name+"/partition", fmt.Sprintln(n))
		add(name+"/start", fmt.Sprintln(8192*n))
		link(name)
	}
	return dir
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name, line, sys string
		active          int
		boot, other     string
	}{
		{"by offset", "quiet root=PARTUUID=" + uuid + "/PARTNROFF=2 ro\n", sys(t, "vda", "", 3), 3, "/dev/vda1", "PARTUUID=" + uuid + "/PARTNROFF=1"},
		{"by number", "root=PARTUUID=2e18c40c-02 ro", sys(t, "nvme0n1", "p", 3), 2, "/dev/nvme0n1p1", "PARTUUID=2e18c40c-03"},
		{"by device", "root=/dev/mmcblk0p3", sys(t, "mmcblk0", "p", 3), 3, "/dev/mmcblk0p1", "/dev/mmcblk0p2"},
		{"by device, of a disk", "root=/dev/vda2", sys(t, "vda", "", 3), 2, "/dev/vda1", "/dev/vda3"},
	} {
		d, err := Find(test.line, test.sys, "/dev")
		if err != nil || d.Active != test.active || d.Boot != test.boot || d.Names[d.Other()] != test.other || d.BootStart != 8192 || d.Roots[d.Active] == "" {
			t.Errorf("%s: %+v, %v", test.name, d, err)
		}
	}
	for _, test := range []struct{ name, line, sys, want string }{
		{"no root", "quiet", sys(t, "vda", "", 3), "no root="},
		{"a root that is none of gokrazy's", "root=/dev/vda1", sys(t, "vda", "", 3), "no root="},
		{"another disk", "root=PARTUUID=11111111-f3f9-427a-8199-92c42b1a0001/PARTNROFF=1", sys(t, "vda", "", 3), "no disk"},
		{"one root", "root=PARTUUID=" + uuid + "/PARTNROFF=1", sys(t, "vda", "", 1), "partitions of a gokrazy box"},
	} {
		if d, err := Find(test.line, test.sys, "/dev"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %+v, %v", test.name, d, err)
		}
	}
}
