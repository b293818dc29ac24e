package partition

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestScanDevices(t *testing.T) {
	if _, err := scanDevices(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("no error for a kernel without sysfs")
	}
	dir := t.TempDir()
	disk := func(name string, attributes map[string]string) {
		t.Helper()
		folder := filepath.Join(dir, "devices", name)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for k, v := range attributes {
			if err := os.WriteFile(filepath.Join(folder, k), []byte(v+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "block", filepath.Base(name))
		if err := os.Symlink(filepath.Join("..", "devices", name), link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "block"), 0o755); err != nil {
		t.Fatal(err)
	}
	disk("sdb", map[string]string{"size": "1000", "dev": "8:16", "diskseq": "7"})
	disk("sdb/sdb10", map[string]string{"size": "10", "dev": "8:26", "partition": "10"})
	disk("sdb/sdb2", map[string]string{"size": "20", "dev": "8:18", "partition": "2"})
	disk("old", map[string]string{"size": "8", "dev": "9:1"}) // a kernel without diskseq
	disk("loop0", map[string]string{"size": "0", "dev": "7:0", "diskseq": "1"})
	disk("sdc", map[string]string{"size": "", "dev": "8:32"})
	disk("sdd", map[string]string{"size": "many", "dev": "8:32"})
	disk("sde", map[string]string{"size": "5"})
	disk("sr0", map[string]string{"size": "1000", "dev": "11:0"})
	disk("zram0", map[string]string{"size": "1000", "dev": "254:0"})
	if err := os.Symlink("../devices/gone", filepath.Join(dir, "block", "sdx")); err != nil {
		t.Fatal(err)
	}

	got, err := scanDevices(filepath.Join(dir, "block"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Device{
		{Name: "old", Disk: "old", Number: "9:1", Size: 4096},
		{Name: "sdb", Disk: "sdb", Number: "8:16", Size: 512000, Seq: 7},
		{Name: "sdb2", Disk: "sdb", Number: "8:18", Size: 10240, Seq: 7},
		{Name: "sdb10", Disk: "sdb", Number: "8:26", Size: 5120, Seq: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("difference (-want +got):\n%s", diff)
	}
}

func TestScanDevicesOfThisMachine(t *testing.T) {
	devices, err := scanDevices("/sys/class/block")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if d.Size <= 0 || d.Number == "" {
			t.Errorf("incomplete device %+v", d)
		}
	}
}

func TestCompareNames(t *testing.T) {
	want := []string{"mmcblk0p1", "mmcblk0p2", "mmcblk0p10", "mmcblk1", "nvme0n1", "nvme0n1p1", "sda", "sda1", "sda2", "sda10", "sdb", "sdb1", "vda"}
	for i, a := range want {
		for j, b := range want {
			if c := compareNames(a, b); (c < 0) != (i < j) || (c == 0) != (i == j) {
				t.Errorf("%s and %s: %d", a, b, c)
			}
		}
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, compareNames)
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
