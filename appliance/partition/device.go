package partition

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Device is a block device that may hold a file system: a partition or a whole disk.
type Device struct {
	Name   string // as in /dev: "sda1"
	Disk   string // the whole disk: "sda"; the same as Name if this is one
	Number string // "major:minor", as in /proc/self/mountinfo
	Size   int64  // bytes
	// Seq is the kernel's running number of the disk (sysfs "diskseq", Linux 5.15), new for each disk that is plugged in
	// and each card that is put into a reader. It tells two sticks apart that had the same name. 0 if the kernel has none.
	Seq uint64
}

// neverContent are the prefixes of devices that cannot hold a content partition: memory and optical drives. Loop devices
// and the device mapper are left in; those that nobody set up have size 0.
var neverContent = []string{"ram", "zram", "sr", "fd", "mtd"}

// scanDevices lists the block devices in dir, /sys/class/block on a real system, in the order of their names. Devices of
// size 0 (an empty card reader, a loop device at rest) are left out. So is one that goes away while we look at it.
func scanDevices(dir string) ([]Device, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list block devices: %w", err)
	}
	var devices []Device
	for _, e := range entries {
		if slices.ContainsFunc(neverContent, func(p string) bool { return isNumbered(e.Name(), p) }) {
			continue
		}
		if d, ok := readDevice(filepath.Join(dir, e.Name())); ok {
			devices = append(devices, d)
		}
	}
	slices.SortFunc(devices, func(a, b Device) int { return compareNames(a.Name, b.Name) })
	return devices, nil
}

// readDevice reads the attributes of one device (Documentation/ABI/stable/sysfs-block).
func readDevice(dir string) (Device, bool) {
	d := Device{Name: filepath.Base(dir), Disk: filepath.Base(dir)}
	sectors, err := strconv.ParseInt(attribute(dir, "size"), 10, 64)
	if err != nil || sectors <= 0 {
		return Device{}, false
	}
	d.Size = sectors * 512 // the unit of this file, whatever the sector size of the disk
	if d.Number = attribute(dir, "dev"); d.Number == "" {
		return Device{}, false
	}
	if attribute(dir, "partition") != "" {
		// The entry is a link to .../block/sda/sda1; the disk is the folder around it.
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return Device{}, false
		}
		dir = filepath.Dir(real)
		d.Disk = filepath.Base(dir)
	}
	d.Seq, _ = strconv.ParseUint(attribute(dir, "diskseq"), 10, 64)
	return d, true
}

// attribute reads a file of sysfs, "" if it is not there.
func attribute(dir, name string) string {
	b, err := os.ReadFile(dir + "/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// isNumbered reports whether name is the prefix followed by a digit: "sr0" is an optical drive, "sra" would not be.
func isNumbered(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && rest != "" && unicode.IsDigit(rune(rest[0]))
}

// compareNames orders device names as a person does: by letters, and by value where both have a number: sda2 < sda10 < sdb1.
func compareNames(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			va, vb := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if c := cmp.Or(cmp.Compare(len(va), len(vb)), strings.Compare(va, vb)); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

// digits is the length of the number that s begins with.
func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}
